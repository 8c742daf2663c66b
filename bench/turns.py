"""turns: measuring programs in turn, each a process of its own that is stopped while others run.

A program prints lines, then "ready"; after that it answers each line on its standard input with
one line of figures (see yardstick.h). Interleaving cancels the drift of the clock; SIGSTOP keeps
idle thread pools from spinning beside the one that is measured.
"""
import ctypes
import os
import signal
import statistics
import subprocess


PR_SET_PDEATHSIG = 1


def die_with_parent():
    """A stopped program would outlive a driver that fails."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Program:
    def __init__(self, name, command, env=None):
        self.name = name
        self.preamble = []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, env={**os.environ, **(env or {})},
                                        preexec_fn=die_with_parent)
        for line in self.process.stdout:
            if line.strip() == "ready":
                break
            self.preamble.append(line.split())
        else:
            raise SystemExit(f"{name}: {' '.join(map(str, command))} ended before it was ready")
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGSTOP)

    def ask(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: ended while measuring")
        return [float(figure) for figure in line.split()]

    def measure_many(self, runs):
        """Wake, one untimed run, the timed runs, stop."""
        self.process.send_signal(signal.SIGCONT)
        self.ask()
        figures = [self.ask() for _ in range(runs)]
        self.stop()
        return figures

    def measure(self):
        return self.measure_many(1)[0]

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait()


def alternate(programs, rounds):
    """{name: [figures of each round]}, the programs in turn within every round."""
    figures = {p.name: [] for p in programs}
    for _ in range(rounds):
        for program in programs:
            figures[program.name].append(program.measure())
    return figures


def column(rows, index=0):
    return [row[index] for row in rows]


def summary(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


def median_ratio(ours, theirs):
    """The median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(ours, theirs))


def ratio(ours, theirs):
    """Of the minima; and the median over rounds of the ratio within a round, with the interval that
    holds it in 95 of 100 cases (by order, whatever the distribution)."""
    each = sorted(a / b for a, b in zip(ours, theirs))
    reach = 0.98 * len(each) ** 0.5
    low, high = (len(each) - 1) / 2 - reach, (len(each) - 1) / 2 + reach
    return {"minima": min(ours) / min(theirs), "median": statistics.median(each),
            "low": each[max(0, round(low))], "high": each[min(len(each) - 1, round(high))]}


def machine():
    """What a figure must be read with."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        fields = dict(line.split(":", 1) for line in f.read().split("\n\n")[0].split("\n")
                      if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    model = fields.get("model name", "unknown processor")
    return (f"{model} (family {fields.get('cpu family', '?')} model {fields.get('model', '?')}), "
            f"{os.cpu_count()} cores")
