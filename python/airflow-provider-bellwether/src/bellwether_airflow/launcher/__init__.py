"""The program `bellwether-airflow`: it starts Airflow's components, and never imports Airflow.

Keeps true: nothing in this package imports Airflow, nor what imports it; `known` does, and runs in
a process of its own. So the program is small, and forks nothing that has threads.
"""
