//! What a caller does here, and the least role for it.

identity::action!(RegisterThread, "chat.thread.register", Member);
identity::action!(ReadThread, "chat.thread.read", Viewer);
identity::action!(PostMessage, "chat.message.post", Member);
identity::action!(OpenStream, "realtime.stream.open", Viewer);
identity::action!(IssueTicket, "realtime.ticket.issue", Viewer);
