"""Base of all estimators: scikit-learn's base, with hints in its refusals."""

import inspect
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, Self

from sklearn.base import BaseEstimator

from .compat import InvalidParameterError, StrOptions, validate_parameter_constraints
from .hints import name_hint, value_hint
from .numbers import check_number


class Estimator(BaseEstimator):  # type: ignore[misc, unused-ignore] # scikit-learn has no types
    """Base of the estimators: parameters by name, checked when fit is called."""

    _parameter_constraints: dict[str, list[Any]]
    # Parameters of other libraries, and what to do instead.
    _elsewhere: Mapping[str, str]

    @classmethod
    def _get_param_names(cls) -> list[str]:
        """The constructor's parameters, kept: scikit-learn reads the signature three times in a fit, .15 ms."""
        return [*_parameter_names(cls)]  # type: ignore[arg-type]

    def set_params(self, **params: Any) -> Self:
        """Change constructor parameters; they act at the next fit or partial_fit.

        Args:
            params: values by name, as in set_params(alpha=0.1).

        Returns the estimator. Raises ValueError: a name that there is not, with the near ones.
        """
        names = self._get_param_names()
        try:
            super().set_params(**params)
        except ValueError as error:
            unknown = [name for name in params if name.partition("__")[0] not in names]
            hint = name_hint(unknown[0], names, self._elsewhere) if unknown else ""
            raise ValueError(f"{str(error).rstrip('.') if hint else error}{hint}") from None
        return self

    def _validate_params(self) -> None:
        """Check the parameters against their constraints; InvalidParameterError names one, and what may be meant."""
        constraints, passed = self._parameter_constraints, _passed_defaults(type(self))  # type: ignore[arg-type]
        # Of forty parameters few are given.
        given = {name: getattr(self, name) for name in self._get_param_names()}
        given = {
            name: value for name, value in given.items() if name not in passed or value is not passed[name]
        }
        for name in constraints:
            if name in given:
                check_number(name, given[name])
        try:
            validate_parameter_constraints(constraints, given, type(self).__name__)
        except InvalidParameterError as error:
            match = re.match(r"The '(\w+)' parameter", str(error))
            hint = self._hint(match[1]) if match else ""
            raise InvalidParameterError(f"{str(error).rstrip('.') if hint else error}{hint}") from None

    def _hint(self, name: str) -> str:
        allowed = self._parameter_constraints[name]
        options = [
            option
            for constraint in allowed
            if isinstance(constraint, StrOptions)
            for option in constraint.options
        ]
        return value_hint(name, getattr(self, name), sorted(options), "boolean" in allowed)


@cache
def _parameter_names(cls: type[Estimator]) -> tuple[str, ...]:
    return (*super(Estimator, cls)._get_param_names(),)  # type: ignore[misc, unused-ignore]


@cache
def _passed_defaults(cls: type[Estimator]) -> dict[str, Any]:
    """The constructor's defaults that pass the checks, by name: once is enough."""
    passed = {}
    for name, parameter in inspect.signature(cls).parameters.items():
        with suppress(ValueError):
            check_number(name, parameter.default)
            validate_parameter_constraints(cls._parameter_constraints, {name: parameter.default}, "")
            passed[name] = parameter.default
    return passed
