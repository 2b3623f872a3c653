"""Lists, trees and results as the API shows them: nothing here writes."""
