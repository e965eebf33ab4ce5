"""Studies: labels and grades, replays of rules on recordings, statistics. Gold answers exist only here."""
