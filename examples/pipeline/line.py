"""A pipeline of two steps that needs nothing but its image: random points, and a line through them.

``python examples/pipeline/line.py`` writes line.yaml beside it; in a notebook
``kfp.Client().create_run_from_pipeline_package("line.yaml")`` runs it. The steps are container
components, because a lightweight component installs the SDK with pip when it starts.
"""

from pathlib import Path

from kfp import compiler, dsl

IMAGE = "docker.io/library/python:3.11"
"""The SDK's own default, so every stack with a mirror has a copy of it."""
MAKE = """
import random, sys

random.seed(1)
with open(sys.argv[2], "w") as file:
    for number in range(int(float(sys.argv[1]))):
        print(number, 3 * number + random.uniform(-1, 1), file=file)
print(f"{sys.argv[1]} points")
"""
FIT = """
import pathlib, statistics, sys

points = [line.split() for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]
xs, ys = ([float(value) for value in values] for values in zip(*points))
slope = statistics.linear_regression(xs, ys).slope
file = pathlib.Path(sys.argv[2])
file.parent.mkdir(parents=True, exist_ok=True)
file.write_text(str(slope))
print(f"slope {slope:.3f}")
"""


@dsl.container_component
def make_points(rows: int, points: dsl.Output[dsl.Dataset]):
    """Writes ``rows`` points near a line of slope 3."""
    return dsl.ContainerSpec(image=IMAGE, command=["python3", "-c", MAKE], args=[rows, points.path])


@dsl.container_component
def fit_line(points: dsl.Input[dsl.Dataset], slope: dsl.OutputPath(float)):
    """The slope of the line with the least squares."""
    return dsl.ContainerSpec(image=IMAGE, command=["python3", "-c", FIT], args=[points.path, slope])


@dsl.pipeline(name="line")
def line(rows: int = 100):
    """Points in, slope out; the artifact and both logs are in the bucket afterwards."""
    made = make_points(rows=rows)
    fit_line(points=made.outputs["points"])


if __name__ == "__main__":
    compiler.Compiler().compile(line, str(Path(__file__).with_suffix(".yaml")))
