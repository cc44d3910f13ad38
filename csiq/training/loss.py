"""The cost-sensitive anti-bias L1 loss, eq. (1) of the paper, over a training set and over a batch of it.

    L = 1/#G  sum over j in G of  1/#S_j  sum over i in S_j of |y_i - y*_i|

G are the grades there are, S_j the patches of grade j. All volumes have equally many patches, so a volume of
grade j weighs 1 / (#G n_j), n_j the volumes of that grade. Grades of a consensus or a formula are continuous:
their nearest half is their class, the error is taken to the grade itself.

A batch of a dozen volumes seldom has all grades. Forming G anew from each batch would weigh a grade the more
the seldomer it is in company: the mean over batches is then not L. Here weights come from the training set,
so that every batch is an unbiased estimate of L.

References
----------
Piccini D, et al. Radiology: Artificial Intelligence 2020;2:e190123, eq. 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

#: Width of a class: readers give half grades.
CLASS_WIDTH = 0.5


def classes_of(grades: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the class of each grade, 0 to 8: its nearest half, ties to the even one."""
    return np.rint(np.asarray(grades, float) / CLASS_WIDTH).astype(int)


def class_weights(grades: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return the weight of each volume in eq. 1, with mean 1: N / (#G n_j).

    Parameters
    ----------
    grades : (n_volumes,)
        Of a training set.

    Returns
    -------
    float64 array, (n_volumes,)
        The mean over evenly drawn volumes of weight times error is L.
    """
    classes = classes_of(grades)
    _, member, count = np.unique(classes, return_inverse=True, return_counts=True)
    return len(classes) / (len(count) * count[member])


def batch_loss(predicted: Tensor, grades: Tensor, weights: Tensor) -> Tensor:
    """Return the estimate of eq. 1 from a batch; :func:`csiq.agreement.anti_bias_l1` is eq. 1 of a whole set.

    Parameters
    ----------
    predicted : float tensor, (n, rows, columns)
        Grades of the patches of each window.
    grades : float tensor, (n,)
    weights : float tensor, (n, rows, columns)
        Of :func:`class_weights` times those of the patches' places; their mean over many batches is 1.
    """
    return ((predicted.float() - grades[:, None, None]).abs() * weights).mean()


def volume_loss(predicted: Tensor, grades: Tensor, weights: Tensor, windows: int = 1) -> Tensor:
    """Return the same of whole volumes: the error of the mean over all patches of a volume in the batch.

    A volume's grade is the mean over its patches, and few of them show the heart: only their mean can ask
    those that do to speak louder.

    Parameters
    ----------
    predicted : float tensor, (n, rows, columns)
    grades : float tensor, (n,)
    weights : float tensor, (n,)
        Of :func:`class_weights`.
    windows : int
        Of each volume, one after the other.
    """
    means = predicted.float().mean(dim=(1, 2)).reshape(-1, windows).mean(dim=1)
    return ((means - grades[::windows]).abs() * weights[::windows]).mean()
