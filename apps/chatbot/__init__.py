"""Customer-support chatbot: an LSTM encoder-decoder with attention."""
