"""Commands that run an EdgeWatt on this machine, and the one that says how it stands."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from controller.cli.command import command
from controller.cli.console import Console

Port = Annotated[int, typer.Option(help="REST and artifacts; the next free one when taken.", min=1, max=65_535)]
MqttPort = Annotated[
    int, typer.Option(help="The broker's; 0 is 1883, with TLS 8883; the next free one when taken.", min=0, max=65_535)
]
Host = Annotated[str, typer.Option(help="Where broker and REST listen; beyond this machine after `edgewatt init`.")]
DashboardPort = Annotated[int, typer.Option(help="The next free one when taken.", min=1, max=65_535)]
Dashboard = Annotated[bool, typer.Option("--dashboard/--no-dashboard", help="Start the dashboard.")]
Data = Annotated[Path, typer.Option(help="Where everything is kept.")]
Broker = Annotated[
    Literal["amqtt", "mosquitto", "nats", "auto"],
    typer.Option(help="amqtt needs no installation, nats the extra `native`; auto takes mosquitto, else nats."),
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Forget what an earlier run left in the data folder.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands to `app`."""
    command(app, "demo", example="edgewatt demo --devices 5")(_demo)
    command(app, "up", example="edgewatt up --broker mosquitto")(_up)
    command(app, "status", example="edgewatt status")(_status)


def _demo(
    console: Console,
    *,
    devices: Annotated[int, typer.Option(help="Simulated devices.", min=1, max=200)] = 5,
    dashboard: Dashboard = True,
    port: Port = 5000,
    mqtt_port: MqttPort = 0,
    dashboard_port: DashboardPort = 8501,
    host: Host = "127.0.0.1",
    data: Data = Path(".edgewatt/demo"),
    broker: Broker = "amqtt",
    fresh: Fresh = False,
    imagenet: Annotated[
        bool, typer.Option("--imagenet", help="Also make EfficientNet-Lite0 and deploy it (extra `models`).")
    ] = False,
) -> None:
    """Start a whole fleet on this machine: broker, controller, dashboard, simulated devices.

    Prints one address when everything is up. Ctrl-C ends it all and says where the data are.
    """
    _run(
        console,
        devices=devices,
        dashboard=dashboard,
        port=port,
        mqtt_port=mqtt_port,
        dashboard_port=dashboard_port,
        host=host,
        data=data,
        broker=broker,
        fresh=fresh,
        imagenet=imagenet,
    )


def _up(
    console: Console,
    *,
    dashboard: Dashboard = True,
    port: Port = 5000,
    mqtt_port: MqttPort = 0,
    dashboard_port: DashboardPort = 8501,
    host: Host = "127.0.0.1",
    data: Data = Path(".edgewatt/up"),
    broker: Broker = "auto",
    database: Annotated[
        str, typer.Option(help="postgresql://user@host/name instead of a file in the data folder (extra `postgres`).")
    ] = "",
    fresh: Fresh = False,
) -> None:
    """Start broker, controller and dashboard on this machine, for devices of your own."""
    _run(
        console,
        devices=0,
        dashboard=dashboard,
        port=port,
        mqtt_port=mqtt_port,
        dashboard_port=dashboard_port,
        host=host,
        data=data,
        broker=broker,
        database=database,
        fresh=fresh,
    )


def _status(console: Console) -> None:
    """Say on one screen how controller, broker, fleet and deployments stand."""
    from controller.cli import tables  # noqa: PLC0415 - imported on use

    found = console.client.status()
    console.show(found, *tables.status(found))


def _run(console: Console, **wished: Any) -> None:
    from controller.cli.demo import Report, Wishes, run  # noqa: PLC0415 - imported on use
    from controller.cli.welcome import welcome  # noqa: PLC0415

    def ready(report: Report) -> None:
        console.line(report.document(), welcome(report))

    run(Wishes(**wished), console.say, ready)
