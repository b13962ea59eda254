"""The command line `polymorph`: one file per command."""
