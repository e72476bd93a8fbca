"""Tables of a network: what may train those with sparse=True, and the rows for padding that an update leaves alone."""

from collections import Counter
from collections.abc import Iterator, Sequence

from ..nn import Module
from ..nn.parameter import Parameter
from ..optim import Optimizer
from ..program import Parameters


def check_tables(net: Module, optimizer: Optimizer) -> None:
    """ValueError where a table with sparse=True is trained with what would have to move all of its rows."""
    if not any(parameter.sparse for parameter in net.parameters()):
        return
    for name, parameter, member in _trained_by(net, optimizer):
        for setting in ("weight_decay", "momentum"):
            value = member.scalars.get(setting)
            if value and parameter.sparse and parameter.requires_grad:
                kind = type(member).__name__
                raise ValueError(
                    f"{kind}: {setting} is {value:g}, and {name} has sparse=True: rows that do not occur would miss it;"
                    f' expected 0, for all or in a group: {kind}([{{"params": "{name}", "{setting}": 0}}, ...])'
                )


def still_rows(net: Module, flat: Parameters, optimizer: Optimizer) -> dict[int, slice]:
    """The rows for padding that a weight decay would move, as parts of the flat vectors by the number of the table.

    A table that another layer reads as well, such as a head, has a gradient in all rows.
    """
    if not any(member.scalars.get("weight_decay") for member in _members(optimizer)):  # each `fit` asks
        return {}
    modules = {id(module): module for _, module in net.walk()}.values()
    padded = [module for module in modules if module.padding_row >= 0]
    if not padded:
        return {}
    readers = Counter(id(parameter) for module in modules for parameter in module.learned.values())
    decays = {
        id(parameter)
        for _, parameter, member in _trained_by(net, optimizer)
        if member.scalars.get("weight_decay")
    }
    found: dict[int, slice] = {}
    for module in padded:
        table = module.learned["weight"]
        if id(table) in decays and readers[id(table)] == 1:
            start = flat.part(table.number).start + module.padding_row * table.shape[1]
            found[table.number] = slice(start, start + table.shape[1])
    return found


def _members(optimizer: Optimizer) -> Sequence[Optimizer]:
    """The optimizers of the groups, or the only one."""
    return optimizer.groups if optimizer.grouped else (optimizer,)


def _trained_by(net: Module, optimizer: Optimizer) -> Iterator[tuple[str, Parameter, Optimizer]]:
    """Each parameter with its name and the optimizer of its group."""
    named = [*net.named_parameters()]
    members = _members(optimizer)
    for (name, parameter), group in zip(named, optimizer.assign(named), strict=True):
        yield name, parameter, members[group]
