from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]
Integers = npt.NDArray[np.int32]

class TailTooLarge(MemoryError): ...

def set_threads(count: int) -> None: ...
def threads() -> int: ...
def use_blas(potrf: int, trtri: int, trsm: int, gemm: int) -> None: ...
def log_density(
    family: int,
    link: int,
    extra_zeros: bool,
    categories: int,
    y: Array,
    trials: Array | None,
    power: Array | None,
    predictors: Array,
    active: Sequence[int],
    order: int,
) -> Array: ...

class GaussianModel:
    def __init__(
        self,
        X: Array,
        x_shift: Array,
        x_scale: Array,
        y: Array,
        y_shift: float,
        y_scale: float,
        weights: Array | None,
        n_obs: float,
        codes: Sequence[Codes],
        levels: Sequence[int],
        Z: Sequence[Array],
        z_shift: Sequence[Array],
        z_scale: Sequence[Array],
        terms: Sequence[tuple[int, int, int, int, bool]],
        memory_limit: float,
    ) -> None: ...
    @property
    def n_parameters(self) -> int: ...
    def set_response(self, y: Array, shift: float, scale: float) -> None: ...
    def start(self) -> Array: ...
    def criterion(self, theta: Array, reml: bool) -> float: ...
    def derivatives(self, theta: Array, reml: bool) -> tuple[float, Array, Array]: ...
    def search(
        self, start: Array, reml: bool, tolerance: float, max_evaluations: int
    ) -> tuple[Array, float, float, int, int, float, float, bool, list[int]]: ...
    def refit_many(
        self, Y: Array, start: Array, reml: bool, tolerance: float, max_evaluations: int
    ) -> tuple[Array, Array, Array, Array, Integers, Integers, Integers]: ...
    def fit_without(
        self,
        rows: Rows,
        weights: Array,
        start: Rows,
        n_obs: Array,
        theta: Array,
        reml: bool,
        tolerance: float,
        max_evaluations: int,
    ) -> tuple[Array, Array, Array, Array, Integers]: ...
    def leverages(self, theta: Array) -> Array: ...
    def refit_cases(
        self,
        cluster: Codes,
        times: Codes,
        n_obs: Array,
        starts: Array,
        reml: bool,
        tolerance: float,
        max_evaluations: int,
    ) -> tuple[Array, Array, Array, Array, Integers, Integers, Integers, Array]: ...
    def profile_start(
        self, held: int, term: int, directions: Array, theta: Array, log_sigma: float
    ) -> Array: ...
    def profile_point(
        self,
        held: int,
        term: int,
        directions: Array,
        coordinate: float,
        starts: Array,
        inverse_hessian: Array,
    ) -> tuple[Array, list[Array], Array, float, float, float, bool, int, Array]: ...
    def fit_with_tail(
        self, map: Array, start: Array, tolerance: float, max_evaluations: int
    ) -> tuple[Array, Array, float, float, bool, int]: ...
    def factors(self, theta: Array) -> list[Array]: ...
    def solution(self, theta: Array) -> tuple[Array, list[Array], float, float, float, Array]: ...
    def inverse_blocks(
        self, theta: Array, fixed: bool, tail: bool
    ) -> tuple[list[Array], list[Array], Array, Array]: ...
    def tail_nodes(self) -> list[tuple[int, int]]: ...
    def forward_solve(self, theta: Array, b: Array) -> Array: ...
    def linear_predictors(self, beta: Array, b: Sequence[Array]) -> tuple[Array, Array]: ...
    def fixed_crossproduct(self) -> Array: ...
    def elimination(self) -> tuple[int, int, int]: ...

class MarginalModel:
    def __init__(
        self,
        density: tuple[int, int, bool, int],
        y: Array,
        trials: Array | None,
        power: Array | None,
        predictors: Sequence[tuple[Array | None, Array, Array, Array, Codes]],
        factors: Sequence[tuple[Codes, int, Array, Array, Array, list[int]]],
        terms: Sequence[tuple[int, int, int, int, bool]],
        n_coefficients: int,
        precision: Array,
        centre: Array,
        avoid_zero: float,
        nodes: int,
        joint: list[int],
        memory_limit: float,
    ) -> None: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def n_theta(self) -> int: ...
    def set_response(self, y: Array) -> None: ...
    def start(self, gamma: Array) -> Array: ...
    def value(self, psi: Array) -> float: ...
    def derivatives(self, psi: Array) -> tuple[float, Array, Array]: ...
    def search(
        self, start: Array, tolerance: float, max_evaluations: int
    ) -> tuple[Array, float, int, int, float, float, bool, list[int], float]: ...
    def hessian(self, psi: Array, free: Sequence[bool]) -> Array: ...
    def modes(self, psi: Array) -> tuple[list[list[float]], list[list[float]]]: ...
    def joint_mode(self, psi: Array) -> tuple[Array, Array]: ...
    def group_scores(self, psi: Array) -> Array: ...
    def linear_predictors(self, psi: Array) -> Array: ...
    def term_factors(self, psi: Array) -> list[Array]: ...
    def refit_many(
        self, Y: Array, start: Array, tolerance: float, max_evaluations: int
    ) -> tuple[Array, Array, list[int], list[int]]: ...

def fixed_fit(
    density: tuple[int, int, bool, int],
    y: Array,
    trials: Array | None,
    power: Array | None,
    predictors: Sequence[tuple[Array | None, Array, Array, Array, Codes]],
    start: Array,
    precision: Array,
    centre: Array,
    tolerance: float,
    most_steps: int,
) -> tuple[Array, float, Array, Array, bool, int]: ...

class RowClusters:
    def __init__(self, start: Rows) -> None: ...

class InverseCorrelation:
    @staticmethod
    def independent(clusters: RowClusters) -> InverseCorrelation: ...
    @staticmethod
    def exchangeable(clusters: RowClusters, alpha: float) -> InverseCorrelation: ...
    @staticmethod
    def markov(clusters: RowClusters, rho: Array) -> InverseCorrelation: ...
    @staticmethod
    def nested(
        clusters: RowClusters, group_start: Rows, first_group: Rows, inner: float, outer: float
    ) -> InverseCorrelation: ...
    @staticmethod
    def patterned(clusters: RowClusters, pattern: Rows, offset: Rows, table: Array) -> InverseCorrelation: ...
    def sums(
        self, X: Array, slope: Array, residual: Array, by_cluster: int
    ) -> tuple[Array, Array, Array, Array]: ...
    def times(self, V: Array) -> Array: ...

class PairDesign:
    def __init__(
        self,
        clusters: RowClusters,
        pattern: Rows,
        first_pair: Rows,
        first_entry: Rows,
        parameter: Rows,
        value: Array,
        n_parameters: int,
    ) -> None: ...
    def products(self, u: Array, v: Array) -> Array: ...
    def gram(self, weights: Array) -> Array: ...

def decaying_products(
    clusters: RowClusters, u: Array, v: Array, gap: Array, a: float
) -> tuple[Array, Array]: ...
def working_rows(
    X: Array,
    beta: Array,
    offset: Array | None,
    y: Array,
    weights: Array | None,
    link: int,
    variance: int,
) -> tuple[Array, Array, bool]: ...
