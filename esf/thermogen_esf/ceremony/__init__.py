"""How people who hold root keys make a trust list: nothing here is needed to believe one."""
