"""Everything that AssistSupport refuses, as one tree.

    AssistSupportError                    base; ``code`` is stable, the message is one line
    ├── KnowledgeError                    the knowledge base cannot do what was asked
    │   ├── ArticleRefused                knowledge.article-refused
    │   ├── SourceRefused                 knowledge.source-refused
    │   ├── KnowledgeMissing              knowledge.missing
    │   └── LibraryUnusable               knowledge.library-unusable
    ├── CatalogueRefused                  catalogue.refused
    ├── TicketRefused                     ticket.refused
    ├── DraftUnknown                      draft.unknown
    ├── BindRefused                       serve.bind-refused
    ├── SettingRefused                    setting.refused
    ├── ServerUnreachable                 server.unreachable
    └── GovernanceUnreadable              governance.unreadable
        └── GovernanceInconsistent        governance.inconsistent

Messages are lower case, the fact first, then "expected X, got Y", then what to do. HTTP statuses
are chosen in ``web``; exit codes in ``cli``.
"""

__all__ = [
    "ArticleRefused",
    "AssistSupportError",
    "BindRefused",
    "CatalogueRefused",
    "DraftUnknown",
    "GovernanceInconsistent",
    "GovernanceUnreadable",
    "KnowledgeError",
    "KnowledgeMissing",
    "LibraryUnusable",
    "ServerUnreachable",
    "SettingRefused",
    "SourceRefused",
    "TicketRefused",
]


class AssistSupportError(Exception):
    """Base of every error that AssistSupport raises on purpose; ``code`` is stable."""

    code = "assistsupport"


class KnowledgeError(AssistSupportError):
    """The knowledge base cannot do what was asked."""

    code = "knowledge"


class ArticleRefused(KnowledgeError):
    """One file is no article: not UTF-8, too large, or with front matter that cannot be read."""

    code = "knowledge.article-refused"


class SourceRefused(KnowledgeError):
    """A folder or file cannot be a source of articles."""

    code = "knowledge.source-refused"


class KnowledgeMissing(KnowledgeError):
    """The data folder holds no knowledge base, and what was asked only reads one."""

    code = "knowledge.missing"


class LibraryUnusable(KnowledgeError):
    """The data folder cannot be opened, is of another format, or is damaged."""

    code = "knowledge.library-unusable"


class CatalogueRefused(AssistSupportError):
    """The policy catalogue is malformed; the message names file and line."""

    code = "catalogue.refused"


class TicketRefused(AssistSupportError):
    """A ticket, or a file of tickets, is malformed."""

    code = "ticket.refused"


class BindRefused(AssistSupportError):
    """The server cannot listen where it should."""

    code = "serve.bind-refused"


class SettingRefused(AssistSupportError):
    """An option of a command is missing something, or contradicts another."""

    code = "setting.refused"


class ServerUnreachable(AssistSupportError):
    """A running server was asked for, and does not answer as one."""

    code = "server.unreachable"


class DraftUnknown(AssistSupportError):
    """No draft with this id is remembered."""

    code = "draft.unknown"


class GovernanceUnreadable(AssistSupportError):
    """The governance repository, its ref or one of its files cannot be read."""

    code = "governance.unreadable"


class GovernanceInconsistent(GovernanceUnreadable):
    """Pin, matrix and mirrored manifest of one commit contradict each other."""

    code = "governance.inconsistent"
