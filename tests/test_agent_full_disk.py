"""A disk that refuses in the middle of taking a command in leaves nothing that nobody works on."""

import errno

from edge_agent.files import storage_error
from edge_agent.modelstore import ModelStore
from tests.agent_bench import deploy, running
from tests.artifact_server import serving


class FullFor(ModelStore):
    """A store whose first `refusals` writes of the slots fail."""

    refusals = 1

    def put(self, slots):
        if self.refusals:
            self.refusals -= 1
            raise storage_error(OSError(errno.ENOSPC, "No space left on device"), self.root / "slots.json")
        super().put(slots)


async def test_a_command_whose_generation_cannot_be_written_is_refused_and_taken_in_when_it_comes_again(tmp_path):
    with serving() as server:
        async with running(tmp_path, part_changes={"store": FullFor}) as bench:
            command = deploy(server, command_id="d1")
            bench.send(command)
            refused = await bench.ack("d1")
            assert not list((tmp_path / "journal").glob("*.json"))
            bench.send(command)
            ended = await bench.ack("d1", "succeeded")

    assert (refused.op, refused.state, refused.attempt, refused.error.code) == ("deploy", "rejected", 0, "disk_full")
    assert ended.attempt == 1


async def test_what_is_desired_and_cannot_be_written_is_refused_under_its_own_name(tmp_path):
    with serving() as server:
        async with running(tmp_path, part_changes={"store": FullFor}) as bench:
            command = deploy(server, command_id="d1")
            bench.desire({"gen": 1, "deploy": command})
            refused = await bench.ack("d1")

    assert (refused.op, refused.attempt) == ("deploy", 0)
