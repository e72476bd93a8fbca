"""Ridge regression on the units of a random layer: moments of the rows, two ways to solve, exact leave-one-out errors.

The penalised problem is min Σ wᵢ ‖yᵢ - b - βᵀhᵢ‖² + α ‖β‖²; the intercept b is not penalised. With S = Σ w (h - h̄)(h - h̄)ᵀ and
C = Σ w (h - h̄)(y - ȳ)ᵀ its solution is β = (S + αI)⁻¹ C, b = ȳ - βᵀh̄; for α → 0 that is the Moore-Penrose pseudoinverse.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.linalg import lapack

EPS = float(np.finfo(np.float64).eps)
SMALLEST_RCOND = 1e-12  # below it a solution by Cholesky keeps fewer than four digits


@dataclass
class Moments:
    """Weight, mean and scatter matrix of rows z = (h, y), summed up chunk by chunk; all that a solution needs.

    `scatter` is (L + K, L + K): Σ w (z - mean)(z - mean)ᵀ for L units and K targets. Without `centred` (no intercept) the mean
    counts as zero. Merging two sets of rows: Chan, Golub and LeVeque 1983, free of the cancellation of Σzzᵀ - n z̄z̄ᵀ.
    """

    units: int
    centred: bool
    mean: np.ndarray
    scatter: np.ndarray
    weight: float = 0.0

    @classmethod
    def zeros(cls, units: int, targets: int, centred: bool) -> "Moments":
        """Moments of no rows."""
        size = units + targets
        return cls(units, centred, np.zeros(size), np.zeros((size, size)))

    def add(self, z: np.ndarray, w: np.ndarray) -> None:
        """Add rows z (n, L + K), which are overwritten, of weights w (n,)."""
        weight = float(w.sum())
        if not weight:
            return
        if self.centred:
            mean = w @ z / weight
            z -= mean
            shift = mean - self.mean
            share = weight / (self.weight + weight)
            self.scatter += np.outer(self.weight * share * shift, shift)
            self.mean += share * shift
        z *= np.sqrt(w)[:, None]
        self.scatter += z.T @ z  # NumPy sees the symmetry and calls BLAS's syrk
        self.weight += weight

    @property
    def gram(self) -> np.ndarray:
        """Scatter matrix S of the units, (L, L)."""
        return self.scatter[: self.units, : self.units]

    @property
    def cross(self) -> np.ndarray:
        """Scatter matrix C of units and targets, (L, K)."""
        return self.scatter[: self.units, self.units :]

    @property
    def noise(self) -> float:
        """Size of S's eigenvalues that rounding alone makes, where all rows are equal."""
        mean = self.mean[: self.units]
        return float(self.weight * (mean @ mean) * (8 * EPS) ** 2)

    def intercept(self, coef: np.ndarray) -> np.ndarray:
        """Intercept b for the coefficients β (L, K)."""
        b: np.ndarray = self.mean[self.units :] - self.mean[: self.units] @ coef
        return b


def cholesky(moments: Moments, alpha: float) -> np.ndarray | None:
    """Solution β by the Cholesky factor of S + αI (LAPACK potrf, potrs); None where that is too ill-conditioned (pocon)."""
    matrix = moments.gram.copy()
    matrix.flat[:: len(matrix) + 1] += alpha
    norm = np.abs(matrix).sum(axis=0).max()
    factor, info = lapack.dpotrf(matrix.T, overwrite_a=True, clean=False)
    if info or lapack.dpocon(factor, norm)[0] < SMALLEST_RCOND:
        return None
    coef: np.ndarray = lapack.dpotrs(factor, moments.cross)[0]
    return coef


@dataclass
class Spectrum:
    """Spectral form S = V diag(values) Vᵀ, eigenvalues of rounding left out, and Vᵀ C: each α then takes one product."""

    values: np.ndarray  # (r,) > 0
    vectors: np.ndarray  # V (L, r)
    cross: np.ndarray  # (r, K)

    @classmethod
    def of_gram(cls, moments: Moments) -> "Spectrum":
        """Spectrum by the eigenvalues of S (LAPACK syevd): singular values below about 1e-7 of the largest are lost."""
        values, vectors = linalg.eigh(moments.gram, driver="evd")
        kept = values > max(values[-1] * len(values) * EPS, moments.noise)
        vectors = vectors[:, kept]
        return cls(values[kept], vectors, vectors.T @ moments.cross)

    @classmethod
    def of_rows(cls, h: np.ndarray, y: np.ndarray, noise: float) -> "Spectrum":
        """Spectrum by the singular values of weighted, centred rows h (n, L), y (n, K) (LAPACK gesdd); h is overwritten."""
        u, s, vt = linalg.svd(h, full_matrices=False, overwrite_a=True, check_finite=False)
        kept = s > max(s[0] * max(h.shape) * EPS, noise**0.5)
        s = s[kept]
        return cls(s * s, vt[kept].T, s[:, None] * (u[:, kept].T @ y))

    def coef(self, alpha: float) -> np.ndarray:
        """Solution β (L, K) for one α; 0 is the Moore-Penrose pseudoinverse, whose norm is the least among the best."""
        out: np.ndarray = self.vectors @ (self.cross / (self.values + alpha)[:, None])
        return out


def leave_one_out(
    spectrum: Spectrum,
    moments: Moments,
    chunks: Iterable[tuple[np.ndarray, np.ndarray]],
    alphas: np.ndarray,
) -> np.ndarray:
    """Weighted mean squared leave-one-out error for every α (A,): exact, with no refit.

    PRESS (Allen 1974): the residual without row i is eᵢ / (1 - hᵢᵢ), where hᵢᵢ is the leverage of row i,
    wᵢ / Σw + wᵢ Σⱼ zᵢⱼ² / (λⱼ + α) with z = Vᵀ(h - h̄). An α at which a leverage is 1 but for rounding counts as infinitely bad.
    """
    units, shrink = moments.units, 1 / (spectrum.values[:, None] + alphas)
    coefs = spectrum.cross[:, None] * shrink[:, :, None]  # (r, A, K)
    step = max(
        units // coefs.shape[2], 1
    )  # so many alphas at a time need no more memory than the rows themselves
    blocks = [slice(start, start + step) for start in range(0, len(alphas), step)]
    errors = np.zeros(len(alphas))
    for rows, w in chunks:
        rows -= moments.mean
        z, y = rows[:, :units] @ spectrum.vectors, rows[:, units:]
        leverage = (z * z) @ shrink
        if moments.centred:
            leverage += 1 / moments.weight
        slack = 1 - w[:, None] * leverage  # (n, A)
        determined = slack > 1e-10
        errors[~(determined | (w == 0)[:, None]).all(axis=0)] = np.inf
        factor = np.where(determined, w[:, None] / np.where(determined, slack, 1) ** 2, 0)
        for block in blocks:
            block_coefs = coefs[:, block]  # (r, a, K)
            residual = (
                z @ block_coefs.reshape(len(block_coefs), block_coefs.shape[1] * block_coefs.shape[2])
            ).reshape(len(z), *block_coefs.shape[1:])
            residual -= y[:, None]
            errors[block] += np.einsum("nak,nak,na->a", residual, residual, factor[:, block])
    errors /= moments.weight * moments.cross.shape[1]
    return errors
