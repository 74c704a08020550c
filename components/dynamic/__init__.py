"""Every dynamic provider of the program. FROZEN: no provider's module or class is renamed.

The state of a deployed stack contains a pickle per dynamic resource, which names the module and the
class of its provider (``serialize_provider`` in pulumi/pulumi,
sdk/python/lib/pulumi/dynamic/dynamic.py). ``pulumi refresh``, ``pulumi destroy`` and a replacement
in ``pulumi up`` load that pickle (``get_provider`` in ``__main__.py`` beside it). Without the name
they end in ModuleNotFoundError or AttributeError, and the resource can be neither read nor deleted.

To move a provider nevertheless, leave a module of the old name that imports the class from its new
place, for as long as a stack deployed before may exist. A module here imports nothing that imports
this package, and no package whose ``__init__`` does: Pulumi's plugin may load any of them first.
``tests/components/dynamic/test_frozen_paths.py`` holds a stored text of each provider.
"""
