"""Writes the tables of the documents from `results/*.csv`, between markers `<!-- table NAME -->` and `<!-- end -->`.

python benchmarks/readme_tables.py [--check]
"""

import argparse
import csv
import itertools
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from real_rows import Curve, by_starting_point, chosen_rate, curves, epochs_until, lead
from transfer_rows import EPOCHS as TRANSFER_EPOCHS
from transfer_rows import best_rate
from transfer_rows import curve as transfer_curve
from transfer_rows import leads as transfer_leads

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    *(
        f"docs/{name}.md"
        for name in ("slim", "workflow", "transfer", "any_network", "your_own", "pruning", "accuracy", "ablations")
    ),
    *(f"docs/{name}.md" for name in ("training", "speed", "reliability", "export", "latency")),
)
REAL_KEYS, REAL_EPOCHS = ("network", "share", "teacher"), (0, 1, 5, 15)
MARKED = re.compile(r"(<!-- table (?P<name>[\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the tables are those of the results")
    args = parser.parse_args()
    for document in DOCUMENTS:
        path = ROOT / document
        text = path.read_text()
        made = with_tables(text)
        if args.check and made != text:
            sys.exit(f"{document} differs from results/*.csv: run python benchmarks/readme_tables.py")
        path.write_text(made)


def with_tables(text: str) -> str:
    """`text` with every marked table made anew."""
    return MARKED.sub(lambda match: match[1] + TABLES[match["name"]]() + "\n" + match[3], text)


PHASES = {
    "transfer": "transfer (no training yet)",
    "sparsity": "training with the penalty",
    "prune": "prune (no training since)",
}


def demo() -> str:
    """Mean and standard deviation over the seeds, per phase."""
    rows = read("demo")
    seeds = {row["seed"] for row in rows}
    lines = []
    for phase in dict.fromkeys(row["phase"] for row in rows):
        of = [row for row in rows if row["phase"] == phase]
        lines.append(
            (PHASES.get(phase, phase), spread([100 * float(r["top1"]) for r in of]),
             spread([float(r["params"]) for r in of], 0),
             spread([float(r["macs"]) / 1e6 for r in of]), spread([float(r["seconds"]) for r in of], 1))
        )  # fmt: skip
    head = (f"phase ({len(seeds)} seeds)", "test top-1 (%)", "parameters", "MACs (M)", "seconds")
    kept = statistics.mean(int(row["kept"]) / int(row["channels"]) for row in rows)
    firsts = list({row["seed"]: row for row in rows}.values())
    moved, new = (
        spread([100 * float(row[f"two_epochs_{start}"]) for row in firsts], 1) for start in ("transferred", "scratch")
    )
    gain = f"After two epochs of training: {moved} % from the transferred weights, {new} % from new ones."
    return f"{markdown(head, lines)}\n\n{100 * (1 - kept):.0f} % of the channels are gone. {gain} {origin(rows)}"


def fashion_mnist() -> str:
    """The two routes of the guide, phase by phase."""
    rows = read("fashion_mnist")
    lines = [
        (row["route"], row["phase"], row["epochs"], f"{100 * float(row['test_top1']):.2f}", f"{int(row['params']):,}",
         f"{int(row['macs']) / 1e6:.1f}")
        for row in rows
    ]  # fmt: skip
    head = ("route", "phase", "epochs", "test top-1 (%)", "parameters", "MACs (M)")
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


def training_step() -> str:
    """Images per second of a training step against the original's."""
    rows = read("training_step")
    lines = [
        (row["side"], f"{row['precision']}, {row['layout'].replace('_', '-')}",
         "the probe's pick" if row["picked_by_probe"] == "True" else "",
         f"{float(row['images_per_second_median']):.0f}",
         f"{float(row['images_per_second_q1']):.0f} to {float(row['images_per_second_q3']):.0f}",
         f"{float(row['times_original_median']):.2f}")
        for row in rows
    ]  # fmt: skip
    head = ("step", "precision", "", "images/s (median)", "quartiles", "times the original")
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


GPU_SIDES = {
    "original": "original",
    "fp32": "fp32, step by step",
    "bf16": "bf16, step by step",
    "graphs": "bf16, from graphs",
    "compile": "bf16, compiled, from graphs",
}


def gpu_steps() -> str:
    """Images per second of a training step on a GPU, and what an epoch takes."""
    rows, whole = read("gpu_steps"), read("gpu_epoch")[0]
    last = list({row["side"]: row for row in rows}.values())
    lines = [
        (GPU_SIDES[row["side"]], f"{float(row['images_per_second']):,.0f}", f"{float(row['times_original']):.1f}")
        for row in last
    ]
    table = markdown(("step", "images/s", "times the original"), lines)
    start, minutes = float(whole["start_seconds"]), float(whole["guide_minutes"])
    about = (
        f"Depth {whole['depth']}, batches of {whole['batch']}. An epoch of `main.py -sr` on "
        f"{int(whole['train_images']):,} images takes {float(whole['seconds']):.1f} s with its evaluation, so the "
        f"guide's 360 take {minutes:.0f} minutes; up to the first step {start:.0f} s."
    )
    return f"{table}\n\n{about} {origin(rows)}"


def gpu_batches() -> str:
    """Speed at depth 164 and accuracy of a short training over the batch size, on a GPU."""
    rows = read("gpu_batches")
    trained = [row for row in rows if row["seed"]]
    lines = []
    for row in (row for row in rows if row["images_per_second"]):
        top1 = [100 * float(each["test_top1"]) for each in trained if each["batch"] == row["batch"]]
        lines.append((row["batch"], f"{float(row['images_per_second']):,.0f}", f"{float(row['peak_mb']):,.0f}",
                      spread(top1, 1), str(len(top1))))  # fmt: skip
    head = ("batch", "images/s", "peak memory (MB)", "test top-1 (%)", "seeds")
    first = trained[0]
    trainings = f"ResNet-{first['depth']} after {first['epochs']} epochs, one cycle"
    about = f"Accuracy: {trainings}, rate in proportion to the batch."
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def gpu_latency() -> str:
    """Milliseconds of pruned networks on a GPU."""
    rows = read("gpu_latency")
    lines = [
        (row["pruned"], row["how"], f"{row['dtype']}, batch {row['batch']}", f"{float(row['mac_ratio']):.1f}x",
         f"{float(row['ms']):.2f}", f"{float(row['speed_up']):.2f}x")
        for row in rows
    ]  # fmt: skip
    head = (f"{rows[0]['network']}", "launched", "", "fewer MACs", "ms", "speed-up")
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


def epoch() -> str:
    """Whole epochs against the original's."""
    rows = read("epoch")
    lines = [
        (row["side"], *(f"{float(row[f'seconds_{key}']):.1f}" for key in ("median", "q1", "q3")),
         f"{float(row['times_original']):.2f}")
        for row in rows
    ]  # fmt: skip
    first = rows[0]
    about = f"Depth {first['depth']}, {first['images']} training and {first['test_images']} test images."
    head = ("main.py -sr", "seconds of an epoch (median)", "lower quartile", "upper quartile", "times the original")
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def cost() -> str:
    """Training time over depth, width and batch size: the time of a MAC over that of the largest network and batch."""
    rows = [row for row in read("cost") if row["part"] == "step"]
    batches = sorted({int(row["batch"]) for row in rows})
    lines = []
    for key in dict.fromkeys((row["depth"], row["percent"]) for row in rows):
        of = {int(row["batch"]): row for row in rows if (row["depth"], row["percent"]) == key}
        first = next(iter(of.values()))
        gone = f", {100 * float(key[1]):.0f} % of the channels gone" if float(key[1]) else ""
        speeds = (f"{float(of[b]['images_per_second_median']):.0f}" if b in of else "" for b in batches)
        shares = (f"{float(of[b]['time_per_mac']):.2f}" if b in of else "" for b in batches)
        lines.append((f"{key[0]}{gone}", f"{int(first['macs']) / 1e6:.1f}", *speeds, *shares))
    head = ("depth", "MACs (M)", *(f"images/s, batch {b}" for b in batches), *(f"time per MAC, {b}" for b in batches))
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


def memory() -> str:
    """Peak memory of a training step beside the original's, and of a training after each epoch."""
    rows = read("cost")
    original = next(row for row in rows if row["part"] == "original")
    same = [r for r in rows if all(r[k] == original[k] for k in ("depth", "batch")) and float(r["percent"] or 0) == 0]
    lines = [(row["side"], row["depth"], row["batch"], *(megabytes(row, k) for k in MEMORY)) for row in same]
    epochs = [row for row in rows if row["part"] == "epoch"]
    after = ", ".join(f"{float(row['resident_mb']):.0f}" for row in epochs)
    head = ("step", "depth", "batch", "peak (MB)", "of it libraries (MB)")
    about = f"Resident memory after each of {len(epochs)} epochs at depth {epochs[0]['depth']}: {after} MB."
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


MEMORY = ("peak_mb", "libraries_mb")


def megabytes(row: dict[str, str], key: str) -> str:
    """Without decimals."""
    return f"{float(row[key]):.0f}"


def startup() -> str:
    """Wall time of a fresh process."""
    rows = read("startup")
    lines = [
        (f"`{row['command'].partition(':')[0]}`{row['command'].partition(':')[2]}",
         *(f"{float(row[f'{key}_seconds']):.2f}" for key in ("median", "q1", "q3")))
        for row in rows
    ]  # fmt: skip
    head = ("command", "seconds (median)", "lower quartile", "upper quartile")
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


def waiting() -> str:
    """The share of a training's time in which it waits for images."""
    rows = read("waiting")
    lines = [
        (row["network"], row["count"], row["files"], row["side"], row["images"], f"{100 * float(row['waiting']):.1f}",
         f"{float(row['images_per_second']):.0f}")
        for row in rows
    ]  # fmt: skip
    head = ("network", "files", "side of the files", "of the images", "images", "waiting (%)", "images/s")
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


def planning() -> str:
    """Seconds of a pruning: the guide's network, and the slowest of torchvision's."""
    rows = read("planning")
    slowest = sorted(rows, key=lambda row: -float(row["seconds"]))[:SLOWEST]
    guide = [row for row in rows if row["network"].startswith("netslim/")]
    keys = ("plan_seconds", "apply_seconds", "seconds")
    lines = [(row["network"], *(f"{float(row[key]):.2f}" for key in keys)) for row in (*guide, *slowest)]
    times = [float(row["seconds"]) for row in rows]
    about = f"The slowest {SLOWEST} of {len(rows)} networks; the median is {statistics.median(times):.2f} s."
    return f"{markdown(('network', 'plan (s)', 'surgery (s)', 'both (s)'), lines)}\n\n{about} {origin(rows)}"


SLOWEST = 6


def exact_transfer() -> str:
    """How many of each library's networks are filled exactly and can be pruned."""
    rows = read("exact_transfer")
    lines = []
    for library in dict.fromkeys(row["library"] for row in rows):
        of = [row for row in rows if row["library"] == library and row["keys"]]
        groups = [row for row in of if row["groups"] != "0"]
        lines.append(
            (library, str(len(of)), str(sum(row["keys"] == row["keys_mapped"] for row in of)),
             f"{max(float(row['max_difference']) for row in of):.0e}", str(len(groups)),
             f"{max(float(row['verify_difference']) for row in groups):.1e}",
             f"{max(float(row['verify_difference_float64']) for row in groups):.0e}")
        )  # fmt: skip
    head = ("library", "networks with BatchNorm", "all keys mapped", "largest difference of a logit, 224 px",
            "with channels that can be pruned", "masked to rebuilt, float32", "float64")  # fmt: skip
    failed = ", ".join(f"{row['library']}/{row['model']} ({row['reason']})" for row in rows if row["ok"] == "no")
    return f"{markdown(head, lines)}\n\nNot passed: {failed or 'none'}. {origin(rows)}"


def transfer() -> str:
    """Accuracy over the epochs from each start."""
    return study(lambda row: row["start"].partition(" ")[0] != "select" or row["start"] == "select")


def transfer_parts() -> str:
    """Accuracy without each part of the role-aware strategy."""
    return study(
        lambda row: (
            row["start"].startswith("select") and (row["source"], row["epochs"]) == ("torchvision resnet18", "5")
        )
    )


def transfer_whole() -> str:
    """Accuracy over the epochs from netslim's starts and from other people's, on all images of five classes."""
    if not (ROOT / "results" / "transfer_whole.csv").exists():
        return "Not measured yet: `benchmarks/transfer_whole.py` is the queue of runs that will say it."
    rows = read("transfer_whole")
    lines = []
    for start in dict.fromkeys(row["start"] for row in rows):
        of, found = [row for row in rows if row["start"] == start], transfer_curve(rows, start)
        top1 = [spread([100 * each for each in found.get(epochs, [])], 1) for epochs in TRANSFER_EPOCHS]
        at_start = spread([100 * float(each) for each in {row["seed"]: row["top1_start"] for row in of}.values()], 1)
        rates = {float(row["rate"]) for row in of if (row["epochs"], row["seed"]) == ("1", "1")}
        chosen = f"{best_rate(rows, start)} of {len(rates)}"
        covered = f"{100 * float(of[0]['covered']):.0f} %"
        lines.append((start, covered, chosen, at_start, *top1, str(max(map(len, found.values())))))
    head = ("start", "from the source", "rate", "test top-1 (%) after 0 epochs", *map(str, TRANSFER_EPOCHS), "seeds")
    ahead = {epochs: transfer_leads(rows, epochs) for epochs in TRANSFER_EPOCHS}
    said = [
        f"- after {epochs} epoch{'s' * (epochs > 1)}, in points against scratch: "
        + ", ".join(f"{start} {100 * lead:+.1f}" for start, lead in found.items() if start != "scratch") + "."
        for epochs, found in ahead.items() if len(found) > 1
    ]  # fmt: skip
    source = next((row for row in rows if row["source"]), rows[0])
    about = (
        f"{rows[0]['data']}, {int(rows[0]['images']):,} training images, depth {rows[0]['depth']}; source: "
        f"{source['source']} with {100 * float(source['source_top1'] or 0):.1f} % on its own five classes."
    )
    return "\n\n".join((markdown(head, lines), "\n".join(said), f"{about} {origin(rows)}"))


def kernel_lengths() -> str:
    """Starts with long and short kernels, rate by rate."""
    rows = read("kernel_lengths")
    rates = list(dict.fromkeys(row["rate"] for row in rows))
    lines = []
    for start in dict.fromkeys(row["start"] for row in rows):
        of = [[100 * float(row["top1"]) for row in rows if (row["start"], row["rate"]) == (start, r)] for r in rates]
        lines.append((start, *(spread(top1, 1) for top1 in of)))
    first = rows[0]
    about = (
        f"{first['data']}, depth {first['depth']}: test top-1 (%) after {first['epochs']} epochs, "
        f"{len({row['seed'] for row in rows})} seeds."
    )
    return f"{markdown(('start', *(f'rate {rate}' for rate in rates)), lines)}\n\n{about} {origin(rows)}"


def study(chosen: Callable[[dict[str, str]], bool]) -> str:
    """Rows of the transfer study."""
    rows = [row for row in read("transfer") if chosen(row)]
    lines = [
        (row["source"].removeprefix("torchvision ") or "-", row["start"], f"{int(row['params']):,}", row["epochs"],
         row["lr"], str(len(row["seeds"].split())), *(percent(row, epoch) for epoch in ("0", "1", "3", "end")),
         f"{100 * float(row['end_minus_scratch']):+.1f}")
        for row in rows
    ]  # fmt: skip
    head = ("source", "start", "parameters", "epochs", "rate", "seeds", "top-1 after 0", "1", "3", "all epochs",
            "minus scratch, 10 epochs")  # fmt: skip
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


def percent(row: dict[str, str], epoch: str) -> str:
    """Accuracy in percent, with its standard deviation where there are several seeds."""
    mean, sd = row[f"top1_{epoch}"], row[f"sd_{epoch}"]
    return f"{100 * float(mean):.1f}" + (f" ± {100 * float(sd):.1f}" if sd else "")


def any_network() -> str:
    """Per library and share: how many pass, and what is left."""
    rows = read("any_network")
    lines = []
    for library, share in sorted({(row["library"], row["percent"]) for row in rows}, reverse=True):
        of = [row for row in rows if (row["library"], row["percent"]) == (library, share)]
        ran = [row for row in of if row["ok"] == "yes"]
        double = [float(row["verify_difference_float64"]) for row in ran if row["verify_difference_float64"]]
        lines.append(
            (library, f"{100 * float(share):.0f} %", str(len(of)), str(len(ran)),
             str(sum(row["ok"] == "refused" for row in of)), median_share(ran, "params"), median_share(ran, "macs"),
             f"{max(float(row['verify_difference']) for row in ran):.0e}",
             f"{max(double):.0e} ({len(double)})" if double else "-", min((row["smallest"] for row in ran), key=int),
             f"{max(float(row['plan_seconds']) + float(row['apply_seconds']) for row in ran):.1f}")
        )  # fmt: skip
    head = ("library", "channels gone", "networks", "pass", "refused", "parameters left (median)", "MACs left (median)",
            "masked to rebuilt, float32", "float64 (where needed)", "fewest channels in a group",
            "plan and surgery, most seconds")  # fmt: skip
    families = len({(row["library"], row["family"]) for row in rows})
    failed = "; ".join(
        dict.fromkeys(
            f"{row['model']} ({row['ok']}: {row['reason'].partition(';')[0]})" for row in rows if row["ok"] != "yes"
        )
    )
    return f"{markdown(head, lines)}\n\n{families} families. Not passed: {failed or 'none'}. {origin(rows)}"


def tasks() -> str:
    """Per task and share: how many pass, and what is left."""
    rows = read("tasks")
    lines = []
    for task, library, share in sorted({(row["task"], row["library"], row["percent"]) for row in rows}, key=in_order):
        of = [row for row in rows if (row["task"], row["library"], row["percent"]) == (task, library, share)]
        ran = [row for row in of if row["ok"] == "yes"]
        apart = [float(row["verify_difference_float64"] or row["verify_difference"]) for row in ran]
        exports = [row for row in ran if row["export"]]
        lines.append(
            (f"{task}, {library}", f"{100 * float(share):.0f} %", str(len(of)), str(len(ran)),
             str(sum(row["ok"] == "refused" for row in of)), median_share(ran, "params"), median_share(ran, "macs"),
             f"{max(apart):.0e}",
             f"{sum(row['export'] == 'yes' for row in exports)} of {len(exports)}" if exports else "")
        )  # fmt: skip
    head = ("task", "channels gone", "networks", "pass", "refused", "parameters left (median)", "MACs left (median)",
            "masked to rebuilt", "ONNX file")  # fmt: skip
    reasons = [f"{r['model']} ({r['ok']}: {r['reason'].partition(';')[0]})" for r in rows if r["ok"] != "yes"]
    failed = "; ".join(dict.fromkeys(reasons))
    return f"{markdown(head, lines)}\n\nNot passed: {failed or 'none'}. {origin(rows)}"


def in_order(key: tuple[str, str, str]) -> tuple[int, str, float]:
    """Tasks as they are listed, shares from small to large."""
    return ("segmentation", "detection", "video", "features").index(key[0]), key[1], float(key[2])


def tasks_accuracy() -> str:
    """A detector and a U-Net at half of their MACs: the metric before, between and after."""
    rows = read("tasks_accuracy")
    columns = ("dense", "cut", "repaired", "fitted", "tuned", "longer")
    lines = [
        (row["model"], row["metric"], row["seed"], f"{100 * float(row['macs_left']):.0f} %",
         f"{100 * float(row['params_left']):.0f} %", *(f"{100 * float(row[column]):.1f}" for column in columns))
        for row in rows
    ]  # fmt: skip
    head = ("network", "metric (%)", "seed", "MACs left", "parameters left", "unpruned", "as cut",
            "constants, statistics", "layers fitted", "fine-tuned", "unpruned, trained as long")  # fmt: skip
    steps = {row["model"]: f"{row['steps']} + {row['tuned_steps']}" for row in rows}
    about = "Steps of training and of fine-tuning: " + ", ".join(f"{model} {count}" for model, count in steps.items())
    return f"{markdown(head, lines)}\n\n{about}. {origin(rows)}"


def median_share(rows: list[dict[str, str]], what: str) -> str:
    """The median of what is left, in percent."""
    return f"{100 * statistics.median(int(row[f'pruned_{what}']) / int(row[what]) for row in rows):.0f} %"


def torch_pruning() -> str:
    """How often the two agree."""
    rows = read("torch_pruning_check")
    counts = Counter((row["verdict"], row["right"]) for row in rows)
    summary = markdown(("verdict", "right", "cases"), [(*key, str(count)) for key, count in counts.most_common()])
    networks = len({(row["library"], row["model"]) for row in rows})
    return f"{summary}\n\n{networks} networks. {origin(rows)}"


def pruning_after() -> str:
    """Accuracy right after pruning, a column for each share of the channels."""
    return by_budget("pruning_after", ("data", "depth", "method"), "percent", lambda p: f"{100 * float(p):.0f} % gone")


def pruning_tuned() -> str:
    """Accuracy after equal fine-tuning, a column for each share of the MACs."""
    keys = ("data", "depth", "images", "epochs", "method")
    return by_budget("pruning_tuned", keys, "share", lambda share: f"{100 * float(share):.0f} % of the MACs")


BY_SENSITIVITY = {
    "sensitivity": "l2_norm, `--allocation sensitivity`",
    "sensitivity, group_l2_norm": "group_l2_norm, `--allocation sensitivity`",
}


def reconstruction() -> str:
    """Accuracy of public networks right after a cut, as it is, with statistics, and with layers fitted."""
    shown = ("l2_norm", *BY_SENSITIVITY)
    return right_after([row for row in read("reconstruction") if row["criterion"] in shown and not row["kept"]])


def reconstruction_all() -> str:
    """The same by every criterion and allocation that was tried."""
    return right_after(read("reconstruction"))


def right_after(rows: list[dict[str, str]]) -> str:
    """A line per network, criterion and share."""
    lines = []
    names = ("network", "criterion", "kept", "share")
    for key in dict.fromkeys(tuple(row[name] for name in names) for row in rows):
        of = [row for row in rows if tuple(row[name] for name in names) == key]
        kinds = ("dense", "cut", "repaired", "reconstructed")
        accuracies = [spread([100 * float(row[f"top1_{kind}"]) for row in of], 1) for kind in kinds]
        name = key[1].replace("random_", "best of random allocations, ")
        name = BY_SENSITIVITY.get(name, name)
        chosen = f"{name}, `--ignore {key[2]}`" if key[2] else name
        lines.append((key[0], f"{100 * float(key[3]):.0f} %", chosen, *accuracies))
    head = ("network", "MACs left", "criterion", "unpruned", "as cut", "statistics", "layers fitted")
    first, seeds = rows[0], " ".join(dict.fromkeys(row["seed"] for row in rows))
    data = ", ".join(dict.fromkeys(row["data"] for row in rows))
    about = f"{data}, {first['images']} training images, no training; test top-1 (%), seeds {seeds} at most."
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def widths() -> str:
    """Time of a training step of a pruned network by its widths, as a share of the unpruned network's."""
    rows, lines = read("widths"), []
    settings = list(dict.fromkeys((row["threads"], row["precision"]) for row in rows))
    for stream, width in dict.fromkeys((row["stream"], row["widths"]) for row in rows):
        of = {
            (row["threads"], row["precision"]): row for row in rows if (row["stream"], row["widths"]) == (stream, width)
        }
        cells = (f"{100 * float(of[setting]['time']):.0f} %" for setting in settings)
        lines.append((stream, width, f"{int(next(iter(of.values()))['params']):,}", *cells))
    head = (
        "residual streams",
        "widths",
        "parameters",
        *(f"{precision}, threads: {count}" for count, precision in settings),
    )
    first = rows[0]
    about = f"Depth {first['depth']}, {100 * float(first['share']):.0f} % of the MACs, batch {first['batch']}."
    return f"{markdown(head, lines)}\n\n{about} {origin(rows, 'as above')}"


def slim_recipes() -> str:
    """Recipes for `netslim slim` at equal cost, a pair of columns for each data set."""
    rows = read("slim_recipes")
    by = {(row["dataset"], row["recipe"]): [] for row in rows}
    for row in rows:
        by[row["dataset"], row["recipe"]].append(row)
    datasets = list(dict.fromkeys(row["dataset"] for row in rows))
    lines = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        cells = (_recipe_cells(by.get((dataset, name), [])) for dataset in datasets)
        first = next(of[0] for (_, recipe), of in by.items() if recipe == name)
        lines.append((name, f"{first['epochs_before']} + {first['epochs_after']}", *itertools.chain(*cells)))
    kinds = ("pruned", "held-out", "test")
    head = ("recipe", "epochs", *(f"{dataset}: {kind}" for dataset in datasets for kind in kinds))
    first, seeds = rows[0], " ".join(dict.fromkeys(row["seed"] for row in rows))
    parts = {row["dataset"]: f"{row['images']} of the images of {row['dataset']}" for row in rows if row["images"]}
    about = f"Depth {first['depth']}, cost of {first['cost']} epochs, half of the MACs; top-1 (%), seeds {seeds}; "
    about += "test images right after the pruning, held-out and test images after the fine-tuning."
    about += f" {', '.join(parts.values())}." if parts else ""
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def slim_pretrained() -> str:
    """Recipes for a library's network with ImageNet's weights."""
    rows = read("slim_pretrained")
    lines = []
    for name in dict.fromkeys(row["recipe"] for row in rows):
        own = [row for row in rows if row["recipe"] == name]
        dense = spread([100 * float(row["dense_top1"]) for row in own], 1)
        lines.append(
            (name, f"{own[0]['epochs_before']} + {own[0]['epochs_after']}", str(len(own)), dense, *_recipe_cells(own))
        )
    head = ("recipe", "epochs", "seeds", "dense: test", "pruned: test", "fine-tuned: held-out", "fine-tuned: test")
    about = f"{rows[0]['images']} images of {rows[0]['dataset']}, half of the MACs; top-1 (%)."
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def _recipe_cells(rows: list[dict[str, str]]) -> Iterator[str]:
    for kind in ("pruned_top1", "small_val", "small_top1"):
        yield spread([100 * float(row[kind]) for row in rows], 1) if rows else ""


def slim_against_guide() -> str:
    """The guide's five steps against `netslim slim` in a quarter of their time; depth 11 had other plans."""
    rows = [row for row in read("slim_against_guide") if row["depth"] == "20"]
    rows.sort(key=lambda row: row["dataset"])
    lines = []
    for data, way in dict.fromkeys((row["dataset"], row["way"]) for row in rows):
        own = [row for row in rows if row["dataset"] == data]
        of, guide = ([row for row in own if row["way"] == name] for name in (way, "guide"))
        accuracies = [spread([100 * float(row[kind]) for row in of], 1) for kind in ("pruned_top1", "test_top1")]
        seconds = [[float(row["cpu_seconds"]) for row in each] for each in (of, guide)]
        time = spread(seconds[0], 0)
        last = [100 * statistics.mean(float(row["last_top1"]) for row in guide)]
        last.append(100 * statistics.mean(float(row["test_top1"]) for row in of) - last[0])
        share = statistics.mean(seconds[0]) / statistics.mean(seconds[1])
        is_guide = way == "guide"
        images = f"{data}, {int(of[0]['images']):,} of them" if of[0]["images"] else data
        name = "the guide's five steps" if is_guide else "slim"
        shown = (f"{last[0]:.1f}", time) if is_guide else (f"{last[1]:+.1f}", f"{time} ({100 * share:.0f} %)")
        lines.append((images, name, of[0]["epochs"], str(len(of)), *accuracies, *shown))
    head = ("images", "way", "epochs", "seeds", "pruned", "fine-tuned", "last epoch; slim less that", "CPU seconds")
    about = (
        "Depth 20, half of the MACs; top-1 (%) on the test images, on which the five steps choose their best epoch and "
        "slim chooses nothing."
    )
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def real(file: str, rate: float | None = None) -> str:
    """Accuracy over epochs of fine-tuning, way by way, and how far netslim leads; at the chosen rates or this one."""
    rows = by_starting_point(read(file))
    lines, leads = [], []
    for network, share, teacher in product(*(dict.fromkeys(row[key] for row in rows) for key in REAL_KEYS)):
        found = curves(rows, network, float(share), teacher=teacher == "True", rate=rate) if share and teacher else {}
        case = (network, f"{100 * float(share or 0):.0f} %", "yes" if teacher == "True" else "no")
        for way, curve in found.items():
            top1 = [spread([100 * each for each in curve.top1.get(epochs, [])], 1) for epochs in REAL_EPOCHS]
            seeds = max(len(of) for epochs, of in curve.top1.items() if epochs)
            lines.append((*case, way, str(curve.before or ""), *top1, str(seeds)))
        leads += real_leads(
            found, f"{case[0]}, {case[1]} of the MACs, {'with' if case[2] == 'yes' else 'without'} teacher"
        )
    after = [f"after {epochs}" if epochs else "before" for epochs in REAL_EPOCHS]
    head = ("network", "MACs left", "teacher", "way", "epochs of sparsity", *after, "seeds")
    first, starts = rows[0], {row["network"]: row for row in rows}
    rates = {network: rate or chosen_rate(rows, network) for network in starts}
    dense = ", ".join(
        f"{network.partition(' ')[0]} {100 * float(row['top1_dense']):.1f} (rate {rates[network]})"
        for network, row in starts.items()
    )
    images = f"{int(first['train_images']):,} training images, {int(first['test_images']):,} test images"
    what = f"{first['data']}, {images}: test top-1 (%) before and after so many epochs of fine-tuning"
    about = f"{what}; unpruned, and the rate of what follows the cut: {dense}."
    return "\n\n".join((markdown(head, lines), "\n".join(leads), f"{about} {origin(rows)}"))


def depth164() -> str:
    """The guide's network at a third of its MACs, by way to cut and by rate."""
    rows, lines = read("depth164"), []
    rates = list(dict.fromkeys(row["rate"] for row in rows))
    for way in dict.fromkeys(row["way"] for row in rows):
        of = {row["rate"]: row for row in rows if row["way"] == way}
        first = next(iter(of.values()))
        after = [f"{100 * float(of[rate]['top1']):.1f}" if rate in of else "" for rate in rates]
        lines.append((way, f"{int(first['params']):,}", f"{100 * float(first['top1_before']):.1f}", *after))
    first = rows[0]
    about = (
        f"{first['data']}: test top-1 (%) at {100 * float(first['share']):.0f} % of the MACs before and after one "
        f"cycle over {int(first['images']):,} training images, one seed; unpruned "
        f"{100 * float(first['top1_dense']):.1f}."
    )
    head = ("way", "parameters", "before", *(f"after, rate {rate}" for rate in rates))
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def real_leads(found: Mapping[str, Curve], case: str) -> list[str]:
    """What the curves of one case say, in words: of the way that the docs recommend, and of the nearest to it."""
    best = "netslim, group_l2_norm by sensitivity, coupled, fitted"
    ours = ("netslim, group_l2_norm by sensitivity", "netslim, by sensitivity", "netslim")
    lines = filter(None, (_real_lead(found, way, case) for way in ours if way in found))
    first = [_real_lead(found, best, case)] if best in found else []
    return [*first, *itertools.islice(lines, 1)]


def _real_lead(found: Mapping[str, Curve], way: str, case: str) -> str:
    leads = {epochs: lead(found, epochs, way) for epochs in REAL_EPOCHS if epochs}
    parts = [f"{100 * of[0]:+.1f} after {epochs} ({of[1]})" for epochs, of in leads.items() if of]
    if not parts:
        return ""
    wanted = found[way].top1.get(1)
    until = epochs_until(found, statistics.mean(wanted)) if wanted else None
    words = f"{until[0]} ({until[1]})" if until else "more than were measured"
    needed = f"; what it has after 1 epoch takes the first peer {words}" if wanted else ""
    return f"- {case}: {way} against the best peer, in points by epochs spent: {', '.join(parts)}{needed}."


def penalties() -> str:
    """What each way of training for pruning costs, and what is left after it."""
    rows = read("penalties")
    shares = [name for name in rows[0] if name.startswith("top1_0")]
    lines = []
    for name in dict.fromkeys(row["penalty"] for row in rows):
        of = [row for row in rows if row["penalty"] == name]
        columns = ("near_zero", "zero", "top1", *shares)
        lines.append((name, *(spread([100 * float(row[c]) for row in of], 1) for c in columns)))
    left = [f"{100 * float(name.removeprefix('top1_')):.0f} % of the MACs" for name in shares]
    head = ("penalty", "scales under 0.01 (%)", "exactly zero (%)", "unpruned", *left)
    first, seeds = rows[0], " ".join(dict.fromkeys(row["seed"] for row in rows))
    about = (
        f"{first['data']}, depth {first['depth']}, {int(first['images']):,} images, {first['epochs']} epochs, s "
        f"{first['s']}, no fine-tuning. Test top-1 (%), mean and standard deviation over seeds {seeds}."
    )
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def shrinking() -> str:
    """What is saved by cutting channels during the training that brings their scales to zero."""
    rows = read("shrinking")
    lines = []
    for case in dict.fromkeys((row["data"], row["arch"], row["depth"]) for row in rows):
        for way in dict.fromkeys(row["way"] for row in rows):
            of = [row for row in rows if (row["data"], row["arch"], row["depth"]) == case and row["way"] == way]
            mean = [spread([float(row[name]) for row in of], 0) for name in ("sparse_seconds", "tuning_seconds")]
            parts = [spread([100 * float(row[name]) for row in of], 1) for name in ("share", "macs", "top1")]
            data = f"{case[0]}, {int(of[0]['images']):,} images" if of[0]["images"] else case[0]
            epochs = f"{of[0]['epochs']} + {of[0]['tuning']}"
            cut = "`--prune-zeros`" if way == "prune zeros" else "without"
            lines.append((data, " ".join(case[1:]), epochs, cut, *mean, *parts))
    head = (
        "data",
        "network",
        "epochs",
        "",
        "training (s)",
        "fine-tuning (s)",
        "both, % of without",
        "MACs at the end (%)",
        "test top-1 (%)",
    )
    first, seeds = rows[0], " ".join(dict.fromkeys(row["seed"] for row in rows))
    about = (
        f"s {first['s']}, {first['precision']}. CPU seconds, start-up included; mean ± deviation over seeds {seeds}."
    )
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def small_network() -> str:
    """How much faster pruned networks are than the dense one, and which part of the MAC ratio that is."""
    rows = read("small_network")
    batches = {row["network"]: row["batch"] for row in rows}  # the last one is the larger
    large = ", ".join(f"{network} {batch}" for network, batch in batches.items())
    return f"{speed_ups(rows, FOUR)}\n\nLarge batch: {large}. {origin(rows)}"


def speed_ups(rows: list[dict[str, str]], columns: tuple[str, ...]) -> str:
    """A line per pruned network."""
    keys, lines = ("network", "pruned", "residual", "round_to"), []
    ours = [row for row in rows if row["code"] == "netslim"]
    for key in dict.fromkeys(tuple(row[k] for k in keys) for row in ours):
        of = [row for row in ours if tuple(row[k] for k in keys) == key]
        if key[1] != "dense" and key[3] in SHOWN_ROUNDINGS:
            lines.append((*key, f"{float(of[0]['mac_ratio']):.2f}", *map(speed_up, by_engine(of))))
    return markdown(("network", "pruned", "residual", "rounded to", "MAC ratio", *columns), lines)


def small_network_original() -> str:
    """Pruned networks in netslim's forms and in the original's own code, on the same weights."""
    rows = read("small_network")
    lines = []
    for row in rows:
        if row["code"] == "original":
            same = [r for r in rows if all(r[k] == row[k] for k in SAME_NETWORK) and r["code"] == "netslim"]
            ours = {r["engine"]: r for r in same}
            lines.append(
                (row["network"], row["pruned"], row["batch"], milliseconds(row),
                 *(f"{milliseconds(ours[e])} ({float(row['ms']) / float(ours[e]['ms']):.2f}x)" for e in ENGINES))
            )  # fmt: skip
    head = ("network", "pruned", "batch", "the original's code (ms)", "netslim, eager (ms)", "ONNX Runtime (ms)")
    return f"{markdown(head, lines)}\n\n{origin(rows)}"


ENGINES = ("eager", "onnxruntime")
SHOWN_ROUNDINGS = ("1", "16")
SAME_NETWORK = ("network", "batch", "pruned", "residual", "round_to")
FOUR = ("eager, batch 1", "eager, large batch", "ONNX Runtime, batch 1", "ONNX Runtime, large batch")


def by_engine(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """The rows of a network in the order of `ENGINES`, and of the batch sizes."""
    return sorted(rows, key=lambda row: (ENGINES.index(row["engine"]), int(row["batch"])))


def speed_up(row: dict[str, str]) -> str:
    """`times the dense network (share of the MAC ratio)`."""
    return f"{float(row['speed_up']):.2f}x ({100 * float(row['share']):.0f} %)"


def milliseconds(row: dict[str, str]) -> str:
    """The median with three digits or more."""
    median = float(row["ms"])
    return f"{median:,.0f}" if median >= 100 else f"{median:.3g}"


def by_budget(name: str, keys: tuple[str, ...], budget: str, title: Callable[[str], str]) -> str:
    """A row for each method, a column for each budget; the dense network has one accuracy."""
    rows = read(name)
    budgets = sorted({row[budget] for row in rows} - {"0"})
    lines = []
    for key in dict.fromkeys(tuple(row[k] for k in keys) for row in rows):
        of = {row[budget]: row for row in rows if tuple(row[k] for k in keys) == key}
        lines.append((*key, *(score(of.get(b) or of.get("0")) for b in budgets)))
    seeds = {row["seeds"] for row in rows}
    note = f"Test top-1 (%), mean and standard deviation over seeds {' or '.join(sorted(seeds))}."
    return f"{markdown((*keys, *map(title, budgets)), lines)}\n\n{note} {origin(rows)}"


def score(row: dict[str, str] | None) -> str:
    """`mean ± standard deviation` in percent."""
    if row is None:
        return ""
    mean = f"{100 * float(row['top1']):.2f}"
    return f"{mean} ± {100 * float(row['sd']):.2f}" if row["sd"] else mean


def faults() -> str:
    """The campaigns against files, processes and command lines."""
    rows = read("faults")
    lines = [(row["kind"], f"{int(row['tries']):,}", f"{int(row['failures']):,}") for row in rows]
    made = f"Run on {rows[0]['date']} at commit `{rows[0]['commit']}`."
    return f"{markdown(('kind', 'tries', 'failures'), lines)}\n\n{made}"


INT8_KEYS = ("data", "engine", "network", "int8")


def int8() -> str:
    """Dense, pruned, int8, and both: accuracy, size, and time at each batch size."""
    rows = read("int8")
    batches = list(dict.fromkeys(row["batch"] for row in rows))
    lines = []
    run_times = {"onnxruntime": "ONNX Runtime", "openvino": "OpenVINO"}
    for key in dict.fromkeys(tuple(row[name] for name in INT8_KEYS) for row in rows):
        of = [row for row in rows if tuple(row[name] for name in INT8_KEYS) == key]
        first, (data, engine, network, whole) = of[0], key
        lines.append(
            (data, run_times[engine], f"{network}, int8" if whole == "True" else network,
             f"{100 * float(first['test_top1']):.2f}", f"{first['layers_int8']} of {first['layers']}",
             f"{int(first['bytes']) / 1e3:,.0f}",
             *(f"{float(row['ms']):.2f} ({float(row['speed_up']):.2f}x)" for row in of))
        )  # fmt: skip
    about = ("data", "run time", "network", "test top-1 (%)", "layers in int8", "kB")
    head = (*about, *(f"ms, batch {batch}" for batch in batches))
    by_data = {name: [row for row in rows if row["data"] == name] for name in sorted({row["data"] for row in rows})}
    where = " ".join(f"{name}: {origin(of)}" for name, of in by_data.items())
    return f"{markdown(head, lines)}\n\nOne thread. {where}"


OTHER_WAYS = {"uniform": "uniform", "macs": "by MACs", "torch_pruning": "Torch-Pruning"}


PLAN = ("engine", "network", "threads", "batch", "asked")


def latency_plans() -> str:
    """Plans in ONNX Runtime."""
    return _plans([row for row in read("latency_plans") if row["engine"] == "onnxruntime"], PLAN[1:])


def latency_engines() -> str:
    """Plans in other engines, and in int8."""
    return _plans([row for row in read("latency_plans") if row["engine"] != "onnxruntime"], PLAN)


def _plans(rows: list[dict[str, str]], names: Sequence[str]) -> str:
    """The speed-up reached, and the importance left beside other ways'; `names` are columns that tell plans apart."""
    order = [list(dict.fromkeys(row[name] for row in rows)) for name in names]
    places = {tuple(row[name] for name in names) for row in rows}
    lines, plans, gains, unreached = [], [], [], []
    for key in sorted(places, key=lambda own: [column.index(value) for column, value in zip(order, own, strict=True)]):
        of = {row["way"]: row for row in rows if tuple(row[name] for name in names) == key}
        ours = of["latency"]
        if not ours["speed_up"]:
            least = re.search(r"\((\d+)% of the unpruned", ours["said"])
            assert least
            unreached.append(f"{ours['network']} in {ours['engine']} at batch {ours['batch']} ({least[1]}%)")
            continue
        plans.append(ours)
        speed_up = float(ours["speed_up"])
        found = min((own for way in OTHER_WAYS if (own := _gain(of[way], speed_up))), default=None)
        gains += [(found, float(ours["importance"]))] if found else []
        lines.append(
            (*key[:-1], f"{float(ours['planned']):.2f}x", f"{speed_up:.2f}x",
             f"{float(ours['error']):.1%}", f"{float(ours['macs_left']):.0%}", f"{float(ours['importance']):.2f}",
             *(_importance(of[way], speed_up) for way in OTHER_WAYS))
        )  # fmt: skip
    head = (*names[:-1], "in the plan", "timed again", "error of the prediction", "MACs left",
            "importance left", *OTHER_WAYS.values())  # fmt: skip
    error = statistics.median(float(row["error"]) for row in plans)
    over = [gain for gain, _ in gains]
    full = sum(1.3 * left / gain > 1 and gain < 1.3 for gain, left in gains)
    lost = [(1 - left / gain) / (1 - left) for gain, left in gains]
    about = (
        f"{len(plans)} plans, {rows[0]['asked']}x asked for, random weights and scales. Median error of the prediction "
        f"{error:.1%}. Importance over that of the best other way, where one is as fast: "
        f"{statistics.median(over):.2f} in the median of {len(over)}, {min(over):.2f} to {max(over):.2f}, "
        f"at least 1.3 in {sum(gain >= 1.3 for gain in over)}; in {full} more that is more than there is. The "
        f"other way loses {statistics.median(lost):.1f} times as much in the median, {min(lost):.1f} at the least."
    )
    if unreached:
        about += f" Out of reach, with the least time of the unpruned network's: {', '.join(unreached)}."
    return f"{markdown(head, lines)}\n\n{about} {origin(rows)}"


def _gain(row: dict[str, str], speed_up: float) -> float | None:
    """Our importance over a way's; None where it is not as fast."""
    return float(row["gain"]) if row["gain"] and float(row["fastest"]) >= 0.97 * speed_up else None


def latency_accuracy() -> str:
    """Accuracy of networks that take the same measured time, right after the cut and after equal fine-tuning."""
    rows = read("latency_accuracy")
    lines = []
    for key in dict.fromkeys((row["network"], row["threads"], row["batch"], row["way"]) for row in rows):
        of = [row for row in rows if (row["network"], row["threads"], row["batch"], row["way"]) == key]
        top1 = (spread([100 * float(row[name]) for row in of], 1) for name in ("top1_repaired", "top1_tuned"))
        macs, params = f"{float(of[0]['macs']):.0%}", f"{int(of[0]['params']):,}"
        lines.append((*key, f"{float(of[0]['speed_up']):.2f}x", macs, params, *top1, str(len(of))))
    head = ("network", "threads", "batch", "way", "speed-up", "MACs left", "parameters", "right after the cut",
            "fine-tuned", "seeds")  # fmt: skip
    unpruned = {row["network"]: 100 * float(row["top1_dense"]) for row in rows}
    dense = ", ".join(f"{name} {top1:.1f}" for name, top1 in unpruned.items())
    about = f"{rows[0]['data']}, top-1 (%) on all test images; unpruned: {dense}"
    tuned = f"{rows[0]['epochs']} epoch of {int(rows[0]['tuned']):,} images"
    return f"{markdown(head, lines)}\n\n{about}. Fine-tuning: {tuned}. {origin(rows)}"


def _importance(row: dict[str, str], speed_up: float) -> str:
    """A way's at the same time, or at its fastest where that is slower."""
    fastest = float(row["fastest"])
    return f"{float(row['importance']):.2f}" + (f" (at {fastest:.1f}x)" if fastest < 0.97 * speed_up else "")


TABLES = {
    "demo": demo,
    "fashion-mnist": fashion_mnist,
    "training-step": training_step,
    "gpu-steps": gpu_steps,
    "gpu-batches": gpu_batches,
    "gpu-latency": gpu_latency,
    "epoch": epoch,
    "cost": cost,
    "memory": memory,
    "startup": startup,
    "waiting": waiting,
    "planning": planning,
    "exact-transfer": exact_transfer,
    "transfer": transfer,
    "transfer-parts": transfer_parts,
    "transfer-whole": transfer_whole,
    "kernel-lengths": kernel_lengths,
    "pruning-after": pruning_after,
    "reconstruction": reconstruction,
    "reconstruction-all": reconstruction_all,
    "real": lambda: real("real"),
    "real-gpu": lambda: real("real_gpu", rate=0.1),
    "depth164": depth164,
    "widths": widths,
    "slim-recipes": slim_recipes,
    "slim-pretrained": slim_pretrained,
    "slim-against-guide": slim_against_guide,
    "pruning-tuned": pruning_tuned,
    "penalties": penalties,
    "shrinking": shrinking,
    "small-network": small_network,
    "small-network-original": small_network_original,
    "any-network": any_network,
    "tasks": tasks,
    "tasks-accuracy": tasks_accuracy,
    "torch-pruning": torch_pruning,
    "faults": faults,
    "int8": int8,
    "latency-plans": latency_plans,
    "latency-engines": latency_engines,
    "latency-accuracy": latency_accuracy,
}


def read(name: str) -> list[dict[str, str]]:
    """The rows of `results/NAME.csv`."""
    with (ROOT / "results" / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def spread(values: list[float], digits: int = 2) -> str:
    """`mean ± standard deviation`, or the one value; nothing of none."""
    if not values:
        return ""
    mean = f"{statistics.mean(values):,.{digits}f}"
    if len(set(values)) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):,.{digits}f}"


def markdown(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    head = list(head)
    rows = [head, ["---"] * len(head), *[list(line) for line in lines]]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def origin(rows: Sequence[dict[str, str]], threads: str = "") -> str:
    """What the numbers were measured on; `threads`: what is said of them where the table has them."""

    def all_of(name: str) -> list[str]:
        return list(dict.fromkeys(row[name] for row in rows))

    gpus = [row["gpu"] for row in rows if row.get("gpu", "none") != "none" and row.get("device") != "cpu"]
    gpu, commits = f"{gpus[0]} beside " if gpus else "", all_of("commit")
    at = f"commit `{commits[0]}`" if len(commits) == 1 else f"{len(commits)} commits, which the CSV names"
    threads = threads or ", ".join(sorted(all_of("threads")))
    return (
        f"Measured on {gpu}{' and '.join(all_of('cpu'))}, threads: {threads}, torch {', '.join(all_of('torch'))}, {at}."
    )


if __name__ == "__main__":
    main()
