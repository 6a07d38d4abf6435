"""The parts of petrel_catops.py, which runs plug-ins for CatOps under Petrel.

The program that speaks with Petrel never loads a plug-in. Processes of their own do (`worker`), each of which runs one
call at a time and is kept for later calls (`pool`), as the environments of AWS Lambda do: variables of a module may
last from one call to another. A call that hangs, ends its process or prints therefore affects itself only.
"""
