"""What can go wrong for the person who runs the simulator: each error says what happened, to what, and what to do."""

from __future__ import annotations


class SimulatorError(Exception):
    """Something the person at the keyboard can put right; shown without a traceback."""


class CompilerMissingError(SimulatorError):
    """No C++ compiler was found."""


class CompilationError(SimulatorError):
    """The gateware or its harness did not compile: a fault of this program or of the compiler, with the compiler's own words."""


class FeedbackWiresError(CompilationError):
    """Wires of the gateware that depend on themselves through gates, though no bit of them does: CXXRTL evaluates whole wires. `wires` are
    their names.
    """

    def __init__(self, design: str, wires: list[str]):
        super().__init__(f"wires of {design} depend on themselves: {', '.join(wires)}; make signals of their parts")
        self.wires = wires


class CacheError(SimulatorError):
    """The directory of compiled libraries cannot be made or written."""


class AddressUnavailableError(SimulatorError):
    """A port or socket path cannot be listened on."""


class RunDirectoryError(SimulatorError):
    """The run directory cannot be made or written, or another simulator uses it."""


class StateFileError(SimulatorError):
    """The plant's saved state is not what this program wrote."""


class SeriesError(SimulatorError):
    """A replay file cannot be used. `row` counts data rows from 1, `column` names the column; None where the file as a whole is meant."""

    def __init__(self, message: str, row: int | None = None, column: str | None = None):
        super().__init__(message)
        self.row = row
        self.column = column


class SettingError(SimulatorError):
    """A command-line value has no meaning."""
