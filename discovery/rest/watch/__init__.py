"""Following what happens: long polls, /events and /changes. README.md beside this file."""
