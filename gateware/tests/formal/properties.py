"""All properties, in the order of a trip through the power path: gates, module, link, node."""

from __future__ import annotations

from . import buck_pwm, module_release, protection
from .proof import Property

PROPERTIES: tuple[Property, ...] = (*buck_pwm.PROPERTIES, *module_release.PROPERTIES, *protection.PROPERTIES)
