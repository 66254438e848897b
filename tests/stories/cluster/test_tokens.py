"""A token is revoked at one node: refused at the others, at one that starts later, and while etcd is away."""

from __future__ import annotations

from pathlib import Path

from tests.cli.live import At
from tests.stories.cluster.nodes import etcd_of, etcdctl, node
from tests.stories.process import until
from tests.stories.security.test_revoking import ADMIN, DEPLOY, SHA256, refusal, write_tokens

REVOKED = "The token deploy was revoked at"


def test_what_one_node_revokes_no_node_takes_whoever_has_it_in_a_file(tmp_path: Path) -> None:
    write_tokens(tmp_path / "tokens.toml")
    (tmp_path / "other.toml").write_text(
        (tmp_path / "tokens.toml").read_text().partition('[[token]]\nname = "deploy"')[0]
    )
    with_it, without = ({"TOKENS_FILE": str(tmp_path / name)} for name in ("tokens.toml", "other.toml"))
    with (
        etcd_of(tmp_path) as etcd,
        node(etcd, NODE_NAME="a", **with_it) as one,
        node(etcd, NODE_NAME="b", **without) as other,
    ):
        assert refusal(one, DEPLOY) == ""
        # The node that is asked does not have it; the file here does, so its digest is sent.
        done = At(other.http, DISCOVERY_TOKEN=ADMIN, **with_it)("token", "revoke", "deploy", "--everywhere")
        assert done.status == 0, done
        until(lambda: "was revoked at" in refusal(one, DEPLOY))
        assert "was revoked at" in refusal(other, DEPLOY)
        assert etcdctl(etcd, "get", "--prefix", "reg/r/", "--keys-only").strip() == f"reg/r/{SHA256}"
        with node(etcd, NODE_NAME="c", **with_it) as late:
            assert REVOKED in refusal(late, DEPLOY)
            etcd.kill()
            for each in (one, late):
                assert REVOKED in refusal(each, DEPLOY)
            assert refusal(late, ADMIN) == ""
