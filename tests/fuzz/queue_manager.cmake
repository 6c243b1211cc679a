<<<<<<< HEAD
=======
postrider_fuzzer(queue_frames_fuzz queue_manager_lib)
postrider_fuzzer(resolution_fuzz queue_manager_lib)
postrider_fuzzer(journal_fuzz queue_manager_lib)
>>>>>>> frames
postrider_fuzzer(segment_fuzz queue_manager_lib)
