"""Where else a run's rows go: one file per tracker, each with one entry in `TRACKERS`."""

from netslim.report.trackers.tracker import TRACKERS as TRACKERS
from netslim.report.trackers.tracker import TrackedRun as TrackedRun
from netslim.report.trackers.tracker import Tracking as Tracking
