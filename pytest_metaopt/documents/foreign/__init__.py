"""Launch files of other tools: one format a module, each a :class:`~..launch_reader.LaunchReader`."""
