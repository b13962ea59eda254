"""The demonstration: a bag played to the node through DDS, watched live, judged at the end."""
