"""``./kf images list --stack cn-north-1``: the groups of commands."""

from __future__ import annotations

import typer

from ops import bundles, doctor, images, verify

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="What a person does beside `pulumi up`.",
)
app.add_typer(images.app, name="images")
app.add_typer(bundles.app, name="bundle")
app.command()(doctor.doctor)
app.command()(verify.verify)

if __name__ == "__main__":
    app(prog_name="kf")
