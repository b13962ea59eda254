"""A planner that slows a simulated vehicle for people, and does not rely on a silent camera.

    python examples/slow_for_people.py --ros-args -r labels:=/polymorph/labels \
        -r label_info:=/polymorph/label_info -p camera:=camera

How it decides, and how it subscribes: ``polymorph_ros/ros/slow_for_people.py``.
"""

from polymorph_ros.ros.slow_for_people import main

if __name__ == "__main__":
    main()
