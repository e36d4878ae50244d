import logging
import threading

from core.ui.heard import heard

LOGGER = logging.getLogger("data.of_a_test")


def test_warnings_of_the_logger_and_of_this_thread_alone_are_heard():
    with heard("data") as noticed:
        LOGGER.warning("dropped %d rows", 3)
        LOGGER.info("read")
        logging.getLogger("core.of_a_test").warning("other")
        thread = threading.Thread(target=LOGGER.warning, args=("of another visitor",))
        thread.start()
        thread.join()
    LOGGER.warning("later")
    assert noticed == ["dropped 3 rows"]
