"""The demonstration: a bag played to the node through DDS, shown live, summed up at the end."""
