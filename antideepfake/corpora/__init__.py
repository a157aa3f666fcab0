"""From the folder of a corpus to its protocol, and from many protocols to their union.

Import names from the modules: those that read lists and folders take milliseconds to import; those that build and merge
protocols need pandas.
"""
