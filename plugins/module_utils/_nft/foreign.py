# PRIVATE to the nsfleet.linux collection: it may change at any time, do not import it from elsewhere.
# Copyright (c) 2026, the nsfleet.linux authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What other people's tables do to packets that are forwarded; it is only looked at."""

from __future__ import annotations

import typing as t

from . import command


class Dropping(t.NamedTuple):
    """A chain of somebody else that drops what it does not accept."""

    family: str
    table: str
    chain: str

    def __str__(self) -> str:
        return f"{self.family} {self.table} {self.chain}"


def dropping_chains(namespace: int) -> list[Dropping]:
    """The base chains that forwarded packets pass and whose policy is to drop them; that of firewalld does so last.

    :param namespace: file descriptor of the network namespace.
    :raises NftError: nft failed.
    """
    chains = [entry["chain"] for entry in command.list_chains(namespace)["nftables"] if "chain" in entry]
    return [
        Dropping(chain["family"], chain["table"], chain["name"])
        for chain in chains
        if chain.get("hook") == "forward" and (chain.get("policy") == "drop" or chain["table"] == "firewalld")
    ]


def unnamed_links(namespace: int, dropping: Dropping, links: t.Iterable[str]) -> list[str]:
    """The links that no rule of the chain's table names, so that none can accept what they forward by their name.

    :param namespace: file descriptor of the network namespace.
    :raises NftError: nft failed.
    """
    text = command.list_text(namespace, dropping.family, dropping.table)
    return [link for link in links if f'"{link}"' not in text]


def remedy(dropping: Dropping, links: t.Sequence[str]) -> str:
    """What to do that the chain lets packets of these links pass."""
    names = links or ["LINK"]
    if dropping.table == "filter" and dropping.chain == "FORWARD":
        rules = "; ".join(
            f"iptables -I {{}} -i {name} -j ACCEPT; iptables -I {{}} -o {name} -j ACCEPT" for name in names
        )
        return f"with Docker: {rules.replace('{}', 'DOCKER-USER')}; with ufw: ufw route allow in on {names[0]}"
    if dropping.table == "firewalld":
        return "; ".join(f"firewall-cmd --permanent --zone=trusted --add-interface={name}" for name in names)
    rules = "; ".join(
        f'nft insert rule {dropping} {end} "{name}" accept' for name in names for end in ("iifname", "oifname")
    )
    return f"for example: {rules}"
