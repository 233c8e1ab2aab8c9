"""Whether a penalty's two calls are on both sides of the optimizer's step."""

from netslim.core.errors import UsageError

_ORDER = "the order of a step is backward, unscaling, clipping, before_step_(), optimizer.step(), after_step_()"


class StepOrder:
    """What was called since the last whole step.

    Attributes:
        inside: whether the optimizer has stepped since `before_step_`: false after a step that a `GradScaler` left out.
    """

    def __init__(self) -> None:
        self.inside = False
        self._outside = False
        self._between = False
        self._missed = 0

    def before(self) -> None:
        """`before_step_` is called."""
        if self._between:
            raise UsageError(
                f"before_step_() was called twice without after_step_(): {_ORDER}, once for all backward passes that "
                f"the step sums up"
            )
        self._between = True

    def stepped(self) -> None:
        """The optimizer has stepped."""
        if self._between:
            self.inside = True
        else:
            self._outside = True

    def after(self) -> None:
        """`after_step_` is called. A scaler may leave one step out: two in a row before both calls are an error."""
        if not self._between:
            raise UsageError(f"after_step_() was called without before_step_(): {_ORDER}")
        self._missed = self._missed + 1 if self._outside and not self.inside else 0
        if self._missed > 1:
            raise UsageError(f"the optimizer steps before before_step_() is called, not after it: {_ORDER}")

    def done(self) -> None:
        """The step is over."""
        self._between = self.inside = self._outside = False
