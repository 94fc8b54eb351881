"""What `bound_masks` knows of a kernel.

regions.py    where elements lie: inequalities of loop variables, and what follows from them for a loop
values.py     scalar code and memory whose value is one number wherever an inequality holds
unread.py     which elements of memory nothing reads
"""
