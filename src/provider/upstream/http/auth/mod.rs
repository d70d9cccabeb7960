//! How the node says who it is, to a server that wants to know.
