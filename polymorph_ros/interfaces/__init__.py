"""What the node shows to the outside, free of ROS: topics, message types, stamps, programs."""
