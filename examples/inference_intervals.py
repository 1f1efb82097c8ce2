"""Intervals beyond Wald's: profiles of the likelihood and bootstraps of the sleep study."""

import multilevel as ml

sleep = ml.datasets.sleepstudy()
fit = ml.lmm("Reaction ~ Days + (1 + Days | Subject)", sleep)

profile = fit.profile()
print(profile)
print()

boot = fit.bootstrap(1000, seed=1)
print(boot)
print()

print("Limits of the slope's standard deviation, five ways")
ways = {"profile": profile.confint()}
ways |= {f"bootstrap, {way}": boot.confint(way) for way in ("percentile", "basic", "normal", "bca")}
for way, table in ways.items():
    row = table[table["term"] == "sd__Days"].iloc[0]
    print(f"  {way:<22} {row['conf_low']:5.2f} to {row['conf_high']:5.2f}")
print()

ratio = fit.bootstrap(1000, seed=1, statistic=lambda refit: {"share": refit.fixef[1] / refit.fixef[0]})
low, high = ratio.confint().loc[0, ["conf_low", "conf_high"]]
print(f"Slowing a day, as a share of the starting time: {ratio.estimates[0]:.3f} ({low:.3f} to {high:.3f})")
