"""The ROS 2 node and its edges. The only room that imports rclpy."""
