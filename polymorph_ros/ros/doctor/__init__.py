"""What `polymorph doctor` needs of ROS: nodes and image topics of the graph, by listening."""
