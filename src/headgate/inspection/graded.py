"""Long products of triangular factors, and their singular values: rows with logarithms of their lengths beside them.

The singular values of a product of a thousand Jacobians may lie a thousand decades apart. Written as diag(exp(logs))
times rows of length 1, such a product neither underflows nor loses its small singular values beside the large ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SWEEPS, SMALL = 60, 1e-12


@dataclass(frozen=True)
class Graded:
    """The matrix diag(exp(logs)) rows.

    Attributes:
        logs: [n]; -inf for a row that is zero.
        rows: [n, n], of length 1 or, where they are zero, 0.
    """

    logs: np.ndarray
    rows: np.ndarray

    @classmethod
    def identity(cls, n: int) -> Graded:
        return cls(np.zeros(n), np.eye(n))

    def times(self, factor: np.ndarray) -> Graded:
        """factor @ self, for a triangular factor, [n, n]."""
        with np.errstate(divide="ignore"):
            terms = np.log(np.abs(factor)) + self.logs
        return _scaled(terms.max(-1), np.sign(factor) * _exp(terms - _finite(terms.max(-1))[:, None]) @ self.rows)

    def log_frobenius(self) -> float:
        """log of the Frobenius norm; -inf for zero."""
        return float(np.logaddexp.reduce(2 * self.logs)) / 2

    def log_singular_values(self) -> np.ndarray:
        """Descending, [n]; -inf where they are zero.

        One-sided Jacobi rotations of the rows, as many pairs at once as are disjoint (Demmel & Veselic 1992, "Jacobi's
        method is more accurate than QR"). With a = e^p u, b = e^q v, p >= q, r = e^(q - p) and g = u.v, the rotation
        that makes a and b orthogonal has the tangent r k with k = 2 g / (1 - r^2 + sqrt((1 - r^2)^2 + 4 r^2 g^2)), so

            a' = c e^p (u + k r^2 v),  b' = c e^q (v - k u),  c = 1 / sqrt(1 + r^2 k^2):

        nothing of size e^p stands beside something of size e^q, and for r = 0 it is Gram and Schmidt's step.
        """
        n = len(self.logs)
        logs, rows = np.append(self.logs, [-np.inf] * (n % 2)), np.vstack([self.rows, np.zeros((n % 2, n))])
        for _ in range(SWEEPS):
            largest = 0.0
            for first, second in _rounds(len(logs)):
                swap = logs[second] > logs[first]
                a, b = np.where(swap, second, first), np.where(swap, first, second)
                g = np.einsum("ij,ij->i", rows[a], rows[b])
                largest = max(largest, np.abs(g).max())
                r2 = _exp(2 * (logs[b] - _finite(logs[a])))
                root = 1 - r2 + np.sqrt((1 - r2) ** 2 + 4 * r2 * g**2)
                k = np.where(g == 0, 0.0, 2 * g / np.where(root == 0, 1.0, root))
                c = -0.5 * np.log1p(r2 * k**2)
                new_a = _scaled(logs[a] + c, rows[a] + (k * r2)[:, None] * rows[b])
                new_b = _scaled(logs[b] + c, rows[b] - k[:, None] * rows[a])
                logs[a], rows[a], logs[b], rows[b] = new_a.logs, new_a.rows, new_b.logs, new_b.rows
            if largest < SMALL:
                break
        return -np.sort(-logs)[:n]


def _scaled(logs: np.ndarray, rows: np.ndarray) -> Graded:
    length = np.sqrt(np.einsum("ij,ij->i", rows, rows))
    with np.errstate(divide="ignore"):
        return Graded(logs + np.log(length), rows / np.where(length > 0, length, 1.0)[:, None])


def _finite(logs: np.ndarray) -> np.ndarray:
    """-inf, the logarithm of nothing, made a number, so that differences to it are."""
    return np.where(np.isneginf(logs), 0.0, logs)


def _exp(logs: np.ndarray) -> np.ndarray:
    with np.errstate(under="ignore"):
        return np.exp(logs)


def _rounds(n: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """All pairs of n, an even number, in n - 1 rounds of disjoint pairs: everybody but the first moves on by one."""
    found, circle = [], list(range(n))
    for _ in range(n - 1):
        found.append((np.array(circle[: n // 2]), np.array(circle[: n // 2 - 1 : -1])))
        circle = [circle[0], circle[-1], *circle[1:-1]]
    return found
