"""The named workloads: those that `python -m backpass bench` has, too, and later more."""

from backpass.workloads import WORKLOADS, Workload

__all__ = ["WORKLOADS", "Workload"]
