"""Cluster-robust variances and their tests as the textbook writes them, with n x n matrices."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dense:
    """A cluster-robust variance, with what each cluster contributes: (G_j'e)(G_j'e)' sums to it."""

    vcov: np.ndarray  # (p, p)
    G: np.ndarray  # (J, n, p)
    Phi: np.ndarray  # (n, n)

    def df(self, c):
        """Satterthwaite's degrees of freedom of c'beta-hat: moments of a quadratic form in normal errors."""
        P = np.einsum("jnp,p->jn", self.G, c)
        P = P @ self.Phi @ P.T
        return np.trace(P) ** 2 / np.trace(P @ P)

    def expected(self):
        """Mean of the variance if Phi is the covariance of the errors."""
        return np.einsum("jnp,nm,jmq->pq", self.G, self.Phi, self.G, optimize=True)

    def hotelling(self, C, value):
        """F and its denominator's df: entry by entry, as Pustejovsky and Tipton (2018) have it."""
        values, vectors = np.linalg.eigh(C @ self.expected() @ C.T)
        g = np.einsum("jnp,qp->jqn", self.G, (vectors / np.sqrt(values)) @ vectors.T @ C, optimize=True)
        q = len(C)
        total = 0.0
        for s in range(q):
            for t in range(q):
                ss, tt, st = (g[:, a] @ self.Phi @ g[:, b].T for a, b in ((s, s), (t, t), (s, t)))
                total += (st * st.T).sum() + (ss * tt).sum()
        eta = q * (q + 1) / total
        wald = value @ np.linalg.solve(C @ self.vcov @ C.T, value)
        return (eta - q + 1) / (eta * q) * wald, eta - q + 1


def dense_robust(X, residuals, W, Phi, codes, kind):
    """CR0, CR2 or CR3 of the estimate (X'WX)^-1 X'Wy, with Phi the working covariance of the errors."""
    bread = np.linalg.inv(X.T @ W @ X)
    H = X @ bread @ X.T @ W
    left = np.eye(len(X)) - H
    S = left @ Phi @ left.T
    G, scores = [], []
    for j in range(codes.max() + 1):
        here = codes == j
        E = bread @ X[here].T @ W[np.ix_(here, here)] @ adjustment(kind, H, S, Phi, here)
        G.append((E @ left[here]).T)
        scores.append(E @ residuals[here])
    return Dense(np.transpose(scores) @ np.array(scores), np.array(G), Phi)


def adjustment(kind, H, S, Phi, here):
    """A_j of the cluster of the rows `here`."""
    block = np.ix_(here, here)
    match kind:
        case "CR2":
            D = np.linalg.cholesky(Phi[block]).T
            return D.T @ generalised_power(D @ S[block] @ D.T, -0.5) @ D
        case "CR3":
            return np.linalg.inv(np.eye(here.sum()) - H[block])
    return np.eye(here.sum())


def generalised_power(B, power):
    """Power of a symmetric matrix over its nonzero eigenvalues."""
    values, vectors = np.linalg.eigh(B)
    kept = values > 1e-10 * values.max()
    return (vectors[:, kept] * values[kept] ** power) @ vectors[:, kept].T
