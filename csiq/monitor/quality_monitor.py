"""QualityMonitor: curves, grades, a stop and the best image for any reconstruction."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from csiq.arrays import Array
from csiq.errors import ConfigError
from csiq.history import CostLike, History
from csiq.monitor.apps import Asked, CostSource, Target, alg_of, cost_of, image_of, starting_image
from csiq.monitor.grading import Grading
from csiq.monitor.hooks import Hooks, why_ended
from csiq.monitor.images import as_array, has_signal
from csiq.monitor.record import Record
from csiq.monitor.rules import check_gaps, rules_of
from csiq.quality.assessor import Grade
from csiq.stopping import NotFinite, Rule, Stop, first_to_fire

Grades = tuple[Grade | None, ...]


@dataclass(frozen=True)
class Best:
    """The image to hand out.

    Attributes
    ----------
    iteration : int
    image : array
        As the reconstruction has it, on its device.
    grades : tuple of Grade or None
        One a phase; None where there is none.
    """

    iteration: int
    image: Array = field(repr=False)
    grades: Grades


class QualityMonitor:
    """Hangs a grader, the curves and a stopping rule on any SigPy App, Alg or loop.

    ::

        monitor = csiq.QualityMonitor(csiq.Grader.load(), csiq.GradePlateau(), voxel_size=(1.0, 1.0, 1.0))
        with monitor.watch(app):
            app.run()
        monitor.best.image, monitor.history, monitor.stop

    In a loop of one's own ``monitor.update(image, cost)`` says whether to stop.

    Parameters
    ----------
    grader : optional
        Whatever :func:`csiq.quality.assessor.as_assessor` takes: a :class:`csiq.Grader`, a torch module, a
        callable ``(volume, voxel_size)``; or the name of a model or plug-in. Without one cost and seconds are
        written down.
    rule : Rule, sequence of Rule, str or None
        The first that fires stops the reconstruction; a text is read as ``csiq recon --rule`` reads it. None:
        nothing stops it, but a cost that is no number.
    voxel_size : sequence of float, optional
        mm, z y x or y x: as many axes of the image are space, those in front are phases. Needed for grades.
    every : int
        Grade each n-th iteration, besides the first and the last. Rules then see the grades between two
        graded iterations on the straight line.

    Attributes
    ----------
    stop : Stop or None
        Where and why it ended; None while it goes on.
    grades : tuple of Grade or None
        Of the latest image that was graded, one a phase; None where the grader failed.

    Raises
    ------
    ConfigError
        If the grader is none, it has no voxel size, ``every`` is below 1, or a rule cannot stop anything.
    """

    def __init__(
        self,
        grader: object | None = None,
        rule: Rule | Sequence[Rule] | str | None = None,
        *,
        voxel_size: Sequence[float] | None = None,
        every: int = 1,
    ) -> None:
        self._grading = Grading(grader, voxel_size)
        self._rules = rules_of(rule)
        self._every = int(every)
        if self._every < 1:
            raise ConfigError(f"expected at least 1, got {every}", field="every")
        if self._every > 1:
            check_gaps(self._rules)
        self._begin()

    def _begin(self) -> None:
        """Forget what an earlier reconstruction left."""
        self._grading.forget()
        self._record = Record()
        self.stop: Stop | None = None
        self.grades: Grades = ()
        self._best: Best | None = None
        self._latest: Array = None
        self._recon_s = 0.0
        self._left: float | None = None

    @property
    def history(self) -> History:
        """Cost, grades and seconds of each iteration; nan for what is not known."""
        return self._record.history

    @property
    def warnings(self) -> list[str]:
        """What is odd about images, model or grades; each was a :class:`QualityWarning` too."""
        return self._grading.warnings

    @property
    def best(self) -> Best | None:
        """The image to hand out: the latest whose grade is within its noise of the best one's.

        Without grades it is the latest image itself, no copy. None if there was no image.
        """
        if self._best is not None or self._latest is None:
            return self._best
        step = self.history.last
        return Best(step.iteration, self._latest, (None,) * len(step.grades))

    # ------------------------------------------------------------ a SigPy App or Alg

    @contextmanager
    def watch(
        self,
        target: Target,
        *,
        image: Callable[[Any], Array] | None = None,
        cost: Callable[[Any], float] | None = None,
    ) -> Iterator[Self]:
        """Listen to an App or Alg within a ``with`` block, which runs it; then leave it as it was.

        Parameters
        ----------
        target : sigpy.app.App or sigpy.alg.Alg
            Not run yet. It may also be anything with ``update`` and ``done``.
        image : callable, optional
            Takes the target and returns its image, where ``alg.x`` is none: wavelet coefficients, k-space.
            :mod:`csiq.monitor.apps` lists what is known without it.
        cost : callable, optional
            Takes the target and returns its cost. By default a cost that comes for free, else nan;
            ``cost=lambda app: app.objective()`` applies the operator once more in each iteration.

        Raises
        ------
        ConfigError
            If the target is no App or Alg, or there is no image to grade.
        """
        self._begin()
        alg, see = alg_of(target), image or image_of
        source = cost_of(target) if cost is None else Asked(lambda: cost(target))
        self._take_start(target, image, source)

        def look(ended: bool) -> None:
            """Write down time and cost of the step, and a grade if one is due; the last step has one."""
            self._recon_s = hooks.seconds
            due = ended or len(self.history) % self._every == 0
            self._write_down(see(target) if self._grading else None, source.value(), due=due)

        hooks = Hooks(alg, source.before, look, lambda: self.stop is not None)
        with hooks:
            try:
                yield self
                hooks.catch_up()
            except BaseException:
                self.stop = Stop(len(self.history) - 1, "interrupted")
                raise
        self.stop = self.stop or why_ended(alg, len(self.history) - 1)
        if not self._grading:
            self._latest = see(target)

    def _take_start(self, target: Target, image: Callable[[Any], Array] | None, source: CostSource) -> None:
        """Write iteration 0 down."""
        start = starting_image(target, image) if self._grading else None
        # an empty start that stands for no image has no grade
        seen = start is not None and has_signal(start)
        self._add(source.value(), self._grading.grades(start, 0) if seen else None, start)

    # ------------------------------------------------------------ a loop of one's own

    def update(
        self,
        image: Array | None,
        cost: float | CostLike | None = None,
        *,
        iteration: int | None = None,
    ) -> bool:
        """Take the next image of a loop and return whether to stop.

        Parameters
        ----------
        image : array, (..., z, y, x) or (..., y, x)
            NumPy, CuPy or torch; copied if it is kept. May be None where nothing is graded.
        cost : float, object with ``total``, ``data`` and ``penalty``, or None
            Of this image; None if it is not known.
        iteration : int, optional
            The next by default; the first call is iteration 0, the image at the start (not graded if it is
            empty). A larger number leaves iterations out that nobody looked at.

        Raises
        ------
        ConfigError
            If the iteration was there before.
        """
        now = time.perf_counter()
        self._recon_s += now - self._left if self._left is not None else 0.0
        behind = len(self.history)
        number = behind if iteration is None else int(iteration)
        if number < behind:
            raise ConfigError(f"iteration {number} comes after {behind - 1}", field="iteration")
        for _ in range(behind, number):
            self._add(None, None, image)
        self._write_down(image, cost, due=number % self._every == 0)
        self._left = time.perf_counter()
        return self.stop is not None

    # ------------------------------------------------------------ what both share

    def _write_down(self, image: Array, cost: float | CostLike | None, *, due: bool) -> None:
        grades = None
        if due and self._grading and image is not None and (len(self.history) or has_signal(image)):
            grades = self._grading.grades(image, len(self.history))
        self._add(cost, grades, image)
        if self._record.has_gaps:
            check_gaps(self._rules)
        if self.stop is None:
            rules = (NotFinite(), *self._rules) if self._record.cost_is_known else self._rules
            self.stop = first_to_fire(self._record.for_rules(), rules)

    def _add(self, cost: float | CostLike | None, grades: Grades | None, image: Array) -> None:
        self._latest = image
        n_phases = self.history.n_phases or self._grading.n_phases(image)
        step = self._record.add(cost, grades, n_phases, (self._recon_s, self._grading.seconds))
        if grades is None:
            return
        self.grades = grades
        if self._best is None or self._record.chosen() == step.iteration:
            self._best = Best(step.iteration, as_array(image).copy(), grades)
