"""``./kf images list --stack cn-north-1``: the groups of commands."""

from __future__ import annotations

from typing import Annotated

import typer

from ops import bundles, doctor, images, verify, version

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(images.app, name="images")
app.add_typer(bundles.app, name="bundle")
app.command()(doctor.doctor)
app.command()(verify.verify)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kf {version()}")
        raise typer.Exit


@app.callback()
def main(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    """Operational commands beside `pulumi up`."""


if __name__ == "__main__":
    app(prog_name="kf")
