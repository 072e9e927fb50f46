"""The program on the device: keeps the right artifact running, and says how it is.

    core/       what must never be wrong, without a clock, a file or a socket
    agent       the composition root: joins everything below in one event loop
    application one application: performs what ``core.update`` answers, journal first
    link        the conversation with the fleet, over any broker
    outbox      what the fleet must hear, kept until it says that it has
    slots       artifacts on disk, by digest      journal   where an update stands
    download    from the fleet into a slot        control   the local socket
    child       the worker processes              cli       ``edge agent``

The supervisor imports neither an engine nor numpy nor cv2: it is the program that must still stand
when a model takes its worker down, and it has to fit beside it.
"""
