"""Which variances of the coefficients do estimating equations have, and which one is taken by itself?"""

from __future__ import annotations

import re

from multilevel._options import checked_choice

FEW_CLUSTERS = 40  # below this the sandwich tends to be too small
FOR_FEW = "fay-graubard"  # what is taken there
FOR_MANY = "sandwich"
CORRECTED = (
    "kauermann-carroll",
    "mancl-derouen",
    "fay-graubard",
)  # that adjust what each cluster contributes
KINDS = ("model", "sandwich", *CORRECTED, "morel-bokossa-neerchal", "gosho", "one-step", "jackknife")
ALSO = {
    "modelbased": "model",
    "naive": "model",
    "robust": "sandwich",
    "san": "sandwich",
    "sanse": "sandwich",
    "lz": "sandwich",
    "liangzeger": "sandwich",
    "cr0": "sandwich",
    "kc": "kauermann-carroll",
    "kauermanncarroll": "kauermann-carroll",
    "cr2": "kauermann-carroll",
    "md": "mancl-derouen",
    "manclderouen": "mancl-derouen",
    "cr3": "mancl-derouen",
    "fg": "fay-graubard",
    "faygraubard": "fay-graubard",
    "mbn": "morel-bokossa-neerchal",
    "morelbokossaneerchal": "morel-bokossa-neerchal",
    "gst": "gosho",
    "onestep": "one-step",
    "j1s": "one-step",
    "jack": "one-step",
    "fij": "jackknife",
}
NAMES = {  # as a summary writes them
    "model": "model-based",
    "sandwich": "sandwich",
    "kauermann-carroll": "Kauermann-Carroll",
    "mancl-derouen": "Mancl-DeRouen",
    "fay-graubard": "Fay-Graubard",
    "morel-bokossa-neerchal": "Morel-Bokossa-Neerchal",
    "gosho": "Gosho-Sato-Takeuchi",
    "one-step": "one-step jackknife",
    "jackknife": "jackknife",
}
DF_METHODS = (None, "z", "residual", "satterthwaite", "fay-graubard", "pan-wall")
OWN_DF = {
    "model": "z",
    "sandwich": "z",
    "kauermann-carroll": "satterthwaite",
    "mancl-derouen": "satterthwaite",
    "fay-graubard": "fay-graubard",
    "morel-bokossa-neerchal": "residual",
    "gosho": "residual",
    "one-step": "residual",
    "jackknife": "residual",
}
HAVE_DF = {  # which kinds a method for degrees of freedom is for
    "satterthwaite": ("sandwich", *CORRECTED),
    "fay-graubard": ("sandwich", *CORRECTED),
    "pan-wall": ("sandwich",),
}


def chosen_kind(kind: str | None, n_clusters: int, definite: bool = True) -> str:
    """A kind of variance as it is written here; by itself one that suits the number of clusters.

    `definite` says whether the information is positive definite, without which there is no correction.

    >>> chosen_kind(None, 18), chosen_kind("KC", 18), chosen_kind(None, 500)
    ('fay-graubard', 'kauermann-carroll', 'sandwich')
    """
    if kind is None:
        return FOR_FEW if n_clusters < FEW_CLUSTERS and definite else FOR_MANY
    plain = re.sub(r"[\s_.-]", "", kind.casefold()) if isinstance(kind, str) else kind
    known = {**{each: each for each in KINDS}, **ALSO}.get(plain, kind)
    if isinstance(kind, str) and kind.casefold() in KINDS:
        known = kind.casefold()
    checked_choice("vcov", known, KINDS)
    return known


def chosen_df(kind: str, df: str | None) -> str:
    """The method for degrees of freedom asked for, or the one that goes with the variance."""
    checked_choice("df", df, DF_METHODS)
    method = OWN_DF[kind] if df is None else df
    allowed = HAVE_DF.get(method)
    if allowed is not None and kind not in allowed:
        checked_choice(f'with vcov="{kind}", df', method, ("z", "residual"))
    return method
