"""A program in a terminal of its own: tmux runs it, ttyd shows it, a page holds ttyd's terminal."""
