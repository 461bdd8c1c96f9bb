"""
Hostile input for everything that reads from the network, and the check that nothing but an
C{error} event and a reconnect comes of it.

Every generator takes a L{random.Random}.  The tests give it Hypothesis's, which can be shrunk; the
longer run by hand, C{python -m tests.fuzzing}, a seeded one, so that each case can be repeated.

 - L{tests.fuzzing.mutations}, C{heads}, C{rejections}, C{proxies}, C{frames}, C{deflate} make it;
 - L{tests.fuzzing.peers} says it, on a pipe in memory;
 - L{tests.fuzzing.case} lets a pool listen, and checks what must hold whatever it hears;
 - L{tests.fuzzing.reference} is a second opinion on what frames mean;
 - L{tests.fuzzing.pongs} is about peers whose pongs are not to be trusted;
 - L{tests.fuzzing.surfaces} puts them together, one function per surface.
"""
