"""A process that converses until it is killed, and tells which turns it has answered."""

from multiprocessing.connection import Connection
from typing import Any

from duetto.graph.state import Context
from duetto.settings import Settings
from duetto.wiring import open_graph, open_profiles, open_threads

THREADS = 3


def talk(place: Settings, name: str, answered: Connection) -> None:
    graph = open_graph("sample", open_threads(place), store=open_profiles(place), settings=place)
    said = 0
    while True:
        thread, said = f"{name}-{said % THREADS}", said + 1
        given: Any = {"user": name, "message": f"I loved Alien. Something funny, number {said}"}
        answer = graph.invoke(given, {"configurable": {"thread_id": thread}}, context=Context(k=3, reasons="none"))["answer"]
        answered.send((thread, answer["turn"]))
