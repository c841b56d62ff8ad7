"""Write the generated parts of the documentation: ``python -m tests.pages`` from the project's root.

They are the outputs and files in README.md and docs/, the pages of the checks and of the options,
docs/mistakes.md, the outputs of docs/extending.md, the messages in tests/messages/, and docs/nodes.md, where
network namespaces are available.
"""

from __future__ import annotations

from tests.pages import extending, messages, mistakes, nodes, readme
from tests.support import lab

for path, text in readme.pages().items():
    path.write_text(text)
messages.write()
mistakes.PAGE.write_text(mistakes.page())
extending.PAGE.write_text(extending.renewed_page())
missing = lab.available()
if missing is None:
    nodes.PAGE.write_text(nodes.page())
else:
    print(f"docs/nodes.md is left as it was: {missing}")
