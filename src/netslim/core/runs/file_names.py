"""What the files in folders of runs are called."""

RECORD, METRICS, PAGE = "run.json", "metrics.jsonl", "report.html"  # of every run
CHECKPOINT, BEST = "checkpoint.pth.tar", "model_best.pth.tar"  # what a training goes on from, and its chosen epoch
PRUNED, PLAN = "pruned.pth.tar", "plan.json"
TRANSFERRED = "transferred.pth.tar"
SMALL = "small.pth.tar"  # what several steps end in
NETWORKS = (SMALL, BEST, PRUNED, CHECKPOINT)  # of a folder, the first that there is says most
